"""Three sample apps on 127.0.1.1 to 127.0.1.3 with a secretary each, as real processes.

It starts and kills them, and ends what it has started; what they come to in etcd is for the
audience to see.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from secretary.core.errors import DevError
from secretary.devetcd import mortal

ADDRESSES: Final = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
SERVICE: Final = "hello"
TTL_S: Final = 5
PREFIX: Final = "/services"
END_TIMEOUT_S: Final = 5.0

Process = subprocess.Popen[bytes]


@dataclass
class Actor:
    """One app and its secretary. `key` is where the record stands while both are well."""

    ip: str
    port: int
    etcd: str
    log: Path
    app: Process = field(init=False)
    secretary: Process = field(init=False)

    @property
    def key(self) -> str:
        return f"{PREFIX}/{SERVICE}/{self.ip}"

    def start_app(self) -> None:
        self.app = self._python("secretary.cli.sample_app", self.ip, str(self.port))

    def start_secretary(self) -> None:
        options = {
            "--name": SERVICE,
            "--ip": self.ip,
            "--port": str(self.port),
            "--probe": f"http://{self.ip}:{self.port}/healthz",
            "--etcd": self.etcd,
            "--ttl": f"{TTL_S}s",
            "--status": "off",
        }
        words = [word for pair in options.items() for word in pair]
        self.secretary = self._python("secretary", "run", *words)

    def _python(self, module: str, *arguments: str) -> Process:
        # What is set for a secretary in this shell is not meant for these.
        environ = {k: v for k, v in os.environ.items() if not k.startswith("SECRETARY_")}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                mortal([sys.executable, "-m", module, *arguments]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                # Ctrl-C is the audience's, not the actors'.
                start_new_session=True,
            )


class Stage:
    """Entered, everything runs; left, everything has ended."""

    def __init__(self, etcd: str, directory: Path) -> None:
        self.log = directory / "stage.log"
        self.actors = [Actor(ip, _free_port(ip), etcd, self.log) for ip in ADDRESSES]

    def __enter__(self) -> Self:
        for actor in self.actors:
            actor.start_app()
            actor.start_secretary()
        return self

    def __exit__(self, *_: object) -> None:
        # Secretaries first: they leave the directory while their apps still answer.
        for process in self._processes("secretary"):
            process.terminate()
        for process in self._processes("secretary"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_TIMEOUT_S)
        for process in (*self._processes("secretary"), *self._processes("app")):
            kill(process)

    def _processes(self, role: str) -> Iterator[Process]:
        yield from (getattr(actor, role) for actor in self.actors if hasattr(actor, role))


def kill(process: Process) -> None:
    """End a process as a crash would, and wait until it is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()


def _free_port(ip: str) -> int:
    try:
        with socket.create_server((ip, 0)) as server:
            return int(server.getsockname()[1])
    except OSError as error:
        raise DevError(f"cannot listen on {ip}: {error.strerror}; dev needs Linux") from error
