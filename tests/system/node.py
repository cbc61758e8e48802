"""A host of the tests: a whole Debian with systemd as its first process, and an address of its own.

    node.boot()
    node("systemctl", "start", "app@8080")
    node.kill()                 # the plug is pulled: nobody hears a goodbye
    node.boot()                 # its disk is as it was

Its clocks are this host's: the monotonic times of both can be compared.
"""

import contextlib
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Final, Self

from tests.system.bridge import Bridge
from tests.system.machine import Machine
from tests.system.node_root import NodeRoot, overlay
from tests.waiting import wait_for

_BOOT_S: Final = 60.0
_ENVIRON: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
_NETWORK: Final = """\
[Match]
Name=host0
[Network]
Address={ip}/{size}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
"""With nothing left to wait for, so that the network is online when it has the address."""
_LAST: Final = 3000


class Node:
    """Has a disk while entered, and runs from `boot` to `power_off` or `kill`.

    `ip` is its address on the bridge, `disk` where its files are to be seen from outside;
    `options` are further arguments of systemd-nspawn.
    """

    def __init__(self, name: str, ip: str, bridge: Bridge, root: NodeRoot, *options: str) -> None:
        self.name = name
        self.ip = ip
        self._bridge = bridge
        self._root = root
        self._options = options
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            directory = Path(tempfile.mkdtemp(prefix="secretary-node-"))
            stack.callback(shutil.rmtree, directory)
            self.disk = stack.enter_context(overlay(directory, self._root.layers))
            docker = directory / "docker"  # whose images cannot be on an overlay
            docker.mkdir()
            self._machine = Machine(
                *(self.disk, self._bridge, directory / "console", f"--hostname={self.name}"),
                *(f"--bind={docker}:/var/lib/docker", "--system-call-filter=bpf keyctl"),
                *self._options,
            )
            stack.callback(self._machine.kill)
            network = _NETWORK.format(ip=self.ip, size=self._bridge.network.prefixlen)
            self.write("/etc/systemd/network/10-host0.network", network)
            self.write("/etc/hostname", f"{self.name}\n")
            self.write("/etc/hosts", f"127.0.0.1 localhost\n{self.ip} {self.name}\n")
            self.write("/etc/machine-id", f"{uuid.uuid4().hex}\n")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    # Its power and its cable

    def boot(self) -> None:
        """Start it and wait until all that it starts by itself has been started."""
        self.turn_on()
        self.comes_up()

    def turn_on(self) -> None:
        """Start it; several come up at the same time when each is turned on first."""
        self._machine.turn_on()

    def comes_up(self) -> None:
        """Wait until it has booted. Units that failed are no failure of the boot."""

        def has_booted() -> bool:
            assert self._machine.is_on, "it ended by itself"
            if self._machine.first_process is None:
                return False
            state = self("systemctl", "is-system-running", check=False).stdout.strip()
            return state in {"running", "degraded"} and self._has_its_address()

        try:
            wait_for(has_booted, timeout_s=_BOOT_S)
        except AssertionError as error:
            raise AssertionError(f"{self.name} does not boot: {error}\n{self.said()}") from error

    def power_off(self) -> None:
        """Shut it down in order, as its operator would, and wait until it is off."""
        self._leaves("poweroff")

    def reboot(self) -> None:
        """Shut it down in order and boot it again."""
        self._leaves("reboot")
        self.boot()

    def kill(self) -> None:
        """Pull the plug, if it is on: not even its kernel says goodbye to those it talks with."""
        self._machine.kill()

    def unplug(self) -> None:
        """Pull its network cable."""
        self._machine.unplug()

    def plug_in(self) -> None:
        self._machine.plug_in()

    @property
    def is_plugged_in(self) -> bool:
        """Whether its network cable carries anything."""
        return self._machine.is_plugged_in

    def shun(self, others: bool) -> None:
        """Let nothing pass between this node and the other nodes that do so, or all again."""
        self._machine.shun(others)

    @property
    def first_process(self) -> int | None:
        """The id, on this host, of the first process of its system; None if there is none."""
        return self._machine.first_process

    def _leaves(self, how: str) -> None:
        self("systemctl", "--no-block", how, check=False)  # it may be gone before it answers
        assert self._machine.goes_off() is (how == "reboot")

    def _has_its_address(self) -> bool:
        shown = self("ip", "-4", "-oneline", "address", "show", "dev", "host0", check=False)
        return f" {self.ip}/" in shown.stdout

    # Its system

    def __call__(
        self, *command: str, check: bool = True, timeout_s: float = 60.0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root; AssertionError with its output if it fails and `check`."""
        first = self._machine.first_process
        assert first is not None, f"{self.name} is off; it has shown:\n{self._machine.console}"
        done = subprocess.run(
            ["nsenter", f"--target={first}", "-m", "-u", "-i", "-n", "-p", "--", *command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=_ENVIRON,
        )
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"{self.name}: {' '.join(command)} failed:\n{said}")
        return done

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file, with its directories, on its disk (/run and /tmp are not there)."""
        file = self.disk / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def systemctl(self, *args: str, check: bool = True, timeout_s: float = 60.0) -> str:
        """Return what `systemctl ARGS` says."""
        return self("systemctl", "--no-pager", *args, check=check, timeout_s=timeout_s).stdout

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit, as systemctl shows it."""
        return self.systemctl("show", f"--property={name}", "--value", unit).rstrip("\n")

    def moment_s(self, unit: str, name: str) -> float:
        """Return a …TimestampMonotonic of a unit in the time of time.monotonic().

        systemd forgets those of a unit that is not enabled as soon as it has been stopped.
        """
        told = self.show(unit, f"{name}TimestampMonotonic")
        assert told not in {"", "0"}, f"{unit} tells no {name}"
        return int(told) / 1e6

    def active(self, *units: str) -> bool:
        """Whether all of them are, and not only about to be."""
        return all(self.show(unit, "ActiveState") == "active" for unit in units)

    def journal(self, *units: str) -> str:
        """Return what these units have said since the boot, or all of them."""
        return self._journal("--boot", *(f"--unit={unit}" for unit in units))

    def said(self, since_s: float = 0.0) -> str:
        """Return what is to be had of it: its console, its jobs, its journal since time.time()."""
        said = self._machine.console[-_LAST:]
        if self._machine.first_process is not None:
            said += self.systemctl("list-jobs", check=False)
            said += self._journal(f"--since=@{since_s:.6f}")
        return said

    def _journal(self, *which: str) -> str:
        command = ("journalctl", "--no-pager", "--output=short-monotonic", *which)
        return self(*command, check=False).stdout
