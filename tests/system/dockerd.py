"""A Docker daemon of the tests' own: its state, socket, bridge and networks are gone at the end.

It sets no firewall rules and no routing, so it needs none and harms none: the host reaches its
containers, these reach each other and the host. It may be ended and started again on its state.
"""

import contextlib
import shutil
import subprocess
import tempfile
import uuid
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final, Self

from tests.system.bridge import free_network
from tests.waiting import wait_for

_SPACE: Final = IPv4Network("10.208.0.0/12")
"""Of which each daemon takes a piece: half for its bridge, half for networks made on it."""
_PIECE: Final = 20
_READY_S: Final = 60.0
_END_S: Final = 30.0


class Dockerd:
    """Runs while entered, in a directory of its own; `options` are further arguments."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._bridge = f"sec{uuid.uuid4().hex[:8]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._open = contextlib.ExitStack()

    @property
    def host(self) -> str:
        """What DOCKER_HOST is to be."""
        return f"unix://{self._state}/sock"

    @property
    def log(self) -> str:
        return (self._state / "log").read_text()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._state = Path(tempfile.mkdtemp(prefix="secretary-docker-"))
            stack.callback(shutil.rmtree, self._state, ignore_errors=True)
            stack.callback(_unmount_below, self._state)
            bridge, self._networks = free_network(_SPACE, _PIECE).subnets()
            _ip("link", "add", self._bridge, "type", "bridge")
            stack.callback(_ip, "link", "delete", self._bridge)
            _ip("address", "add", f"{bridge[1]}/{bridge.prefixlen}", "dev", self._bridge)
            stack.callback(self.stop)
            stack.callback(self._clear)
            self.start()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def start(self, *more: str) -> None:
        """Start it on what it left, with `more` arguments, and wait until it answers."""
        # fmt: off
        command = [
            "dockerd", "--host", self.host, "--data-root", f"{self._state}/data",
            "--exec-root", f"{self._state}/exec", "--pidfile", f"{self._state}/pid",
            "--bridge", self._bridge, "--default-address-pool", f"base={self._networks},size=24",
            "--iptables=false", "--ip-forward=false", "--ip-masq=false", *self._options, *more,
        ]
        # fmt: on
        with (self._state / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._process = process

        def dockerd_answers() -> bool:
            assert process.poll() is None, f"dockerd ended:\n{self.log[-3000:]}"
            return self._docker("version").returncode == 0

        wait_for(dockerd_answers, timeout_s=_READY_S)

    def stop(self) -> None:
        """End it in order. Its containers end with it, unless it has --live-restore."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()  # it ends its containerd by itself
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            # Its containerd is killed with it. Where nobody waits for orphans that one seems to
            # be there still, and the next dockerd would wait for its answer.
            (self._state / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove its containers, and its networks with their bridges."""
        if self._process is None:
            self.start()
        if containers := self._docker("ps", "--all", "--quiet").stdout.split():
            self._docker("rm", "--force", "--volumes", *containers)
        self._docker("network", "prune", "--force")

    def _docker(self, *args: str) -> subprocess.CompletedProcess[str]:
        # fmt: off
        return subprocess.run(
            ["docker", "--host", self.host, *args],
            capture_output=True, text=True, timeout=_READY_S, check=False,
        )
        # fmt: on


def _ip(*args: str) -> str:
    return subprocess.run(["ip", *args], capture_output=True, text=True, check=True).stdout


def _unmount_below(directory: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{directory}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
