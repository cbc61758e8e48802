"""A real haproxy for a test, on an admin socket of its own.

    with HaproxyBed(tmp_path, config) as bed:
        bed.ask("show servers state")     # a second pair of eyes, never the code under test
        bed.config.write_text(other)
        bed.reload()

The configuration is the test's own, with frontends on `tests.apps.free_port()`. The admin socket
comes from a second file beside it, so that the test's, or a built-in template's, need not have one.
"""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self

import psutil

from tests.waiting import wait_for

BINARY = "/usr/sbin/haproxy"
_MASTER_S = 0.1
"""A master on its way up takes a connection and may never answer it."""
_GLOBAL = """\
global
    stats socket {socket} mode 600 level admin expose-fd listeners
    hard-stop-after 10s
"""


class HaproxyBed:
    """haproxy in the foreground while entered, ended by its pid; its log is shown on failure.

    `config` is the file it reads, `socket` its admin socket, `pidfile` the file that a
    `signal:USR2@PIDFILE` reload reads. As a master with a worker (the default) it can `reload()`;
    with `master=False` it is one process, which a test can stop as a whole.
    """

    def __init__(self, directory: Path, config: str, *, master: bool = True) -> None:
        self.config = directory / "haproxy.cfg"
        self.socket = directory / "admin.sock"
        self.pidfile = directory / "haproxy.pid"
        self._master_socket = directory / "master.sock"
        self._log = directory / "haproxy.log"
        self._global = directory / "haproxy-global.cfg"
        self._master = master
        self.config.write_text(config)
        self._global.write_text(_GLOBAL.format(socket=self.socket))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        self.stop()
        if failure is not None:
            print(self.log)  # noqa: T201 - pytest shows it with the failure

    def start(self) -> None:
        """Start it and wait until it answers."""
        mode = ("-W", "-S", str(self._master_socket)) if self._master else ("-db",)
        files = ("-p", str(self.pidfile), "-f", str(self._global), "-f", str(self.config))
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, *mode, *files], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_for(self._worker, what="haproxy answered on its socket")
        except BaseException:
            self.stop()
            print(self.log)  # noqa: T201
            raise

    def stop(self) -> None:
        """End it with all its workers, also those that are stopped; may be called twice."""
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            master = psutil.Process(self.process.pid)
            family = [master, *master.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self.process.terminate()  # a master ends its workers, at once, and waits for them
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=10)

    def restart(self) -> None:
        """End it and start it anew: it knows only what is in its file."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Send SIGUSR2 to the master and wait until a new worker answers on the socket."""
        before = self.worker_pid
        os.kill(self.process.pid, signal.SIGUSR2)
        wait_for(lambda: self._worker() not in (0, before), what="a new worker answered")

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """The process that was started: the master, if there is one."""
        return self.process.pid

    @property
    def worker_pid(self) -> int:
        """The process that answers on the socket: another one after each reload."""
        return wait_for(self._worker, what="haproxy answered on its socket")

    def ask(self, command: str) -> str:
        """Return what haproxy answers to one command, or to several with `;` between."""
        return _ask(self.socket, command)

    def servers(self, backend: str) -> dict[str, tuple[str, int, bool]]:
        """Return name -> (address, weight, in maintenance) of a backend as haproxy tells it."""
        lines = self.ask(f"show servers state {backend}").splitlines()[2:]
        rows = [line.split() for line in lines if line]
        return {r[3]: (f"{r[4]}:{r[18]}", int(r[7]), bool(int(r[6]) & 0x01)) for r in rows}

    def _worker(self) -> int:
        """Return the worker's pid once it and its master answer, else 0.

        A SIGUSR2 that meets a master still on its way up is lost: it must have answered before.
        """
        if self.process.poll() is not None:
            raise AssertionError(f"haproxy ended by itself: {self.log}")
        with contextlib.suppress(OSError):
            if self._master and not _ask(self._master_socket, "show proc", _MASTER_S):
                return 0
            for line in self.ask("show info").splitlines():
                if line.startswith("Pid: "):
                    return int(line.removeprefix("Pid: "))
        return 0


def _ask(path: Path, command: str, timeout_s: float = 10) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        connection.sendall(command.encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)  # a master waits for it before it hangs up
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
