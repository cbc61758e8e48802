"""Apps with a secretary each, as processes, on addresses of the loopback of their own."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from tests.secretaries import Secretary, environ
from tests.waiting import wait_for

CHECKOUT: Final = Path(__file__).parents[1]
SERVICE: Final = "web"
DELAY_S: Final = 0.02
"""How long a request takes: so some are always in flight."""
TTL: Final = "5s"


class Backend:
    """One app, which answers with its `name`, and its secretary; both run while entered."""

    def __init__(
        self, name: str, ip: str, port: int, etcd: Sequence[str], prefix: str, directory: Path
    ) -> None:
        self.name = name
        self.ip = ip
        self.port = port
        self._journal = directory / f"{name}.journal"
        self._secretary = (
            *("--name", SERVICE, "--ip", ip, "--port", str(port), "--prefix", prefix),
            *("--probe", f"http://{ip}:{port}/healthz", "--etcd", ",".join(etcd)),
            *("--interval", "500ms", "--fast-interval", "100ms", "--timeout", "500ms"),
            *("--ttl", TTL, "--status", "off"),
        )
        self._held = contextlib.ExitStack()

    @property
    def addr(self) -> str:
        return f"{self.ip}:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._held.__exit__(*failure)  # type: ignore[arg-type]

    def start(self) -> None:
        """Let both begin to work; the app listens when this returns."""
        self.start_app()
        self.secretary = self._held.enter_context(Secretary(*self._secretary))

    def start_app(self) -> None:
        self.app = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.sample_app", self.ip, str(self.port), self.name),
                *(str(DELAY_S), str(self._journal)),
            ],
            cwd=CHECKOUT,
            env=environ(),
        )
        self._held.callback(_end, self.app)
        wait_for(self._listens, what=f"the app listened on {self.addr}")

    def leave(self) -> None:
        """Stop both as an operator would: the secretary, and when it has ended, the app."""
        assert self.secretary.stop() == 0
        self.app.terminate()
        assert self.app.wait(10) == 0

    def kill(self) -> None:
        """End the app as a crash would; its secretary stays."""
        self.app.kill()
        self.app.wait()

    def freeze(self) -> None:
        """Let the app keep its connections, take new ones, and answer nothing."""
        self.app.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.app.send_signal(signal.SIGCONT)

    @property
    def received(self) -> int:
        """How many requests of the load the app has seen."""
        return self._journal.read_bytes().count(b"+")

    @property
    def in_flight(self) -> int:
        """How many of them it has not answered."""
        journal = self._journal.read_bytes()
        return journal.count(b"+") - journal.count(b"-")

    def _listens(self) -> bool:
        assert self.app.poll() is None, "the app has ended"
        try:
            socket.create_connection((self.ip, self.port)).close()
        except OSError:
            return False
        return True


@contextlib.contextmanager
def three(etcd: Sequence[str], prefix: str, directory: Path) -> Iterator[list[Backend]]:
    """Three of them on one port, on 127.0.1.1 to 127.0.1.3."""
    names = ("one", "two", "three")
    ips = [f"127.0.1.{number}" for number in range(1, len(names) + 1)]
    port = _common_port(ips)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(Backend(name, ip, port, etcd, prefix, directory))
            for name, ip in zip(names, ips, strict=True)
        ]


def _common_port(ips: Sequence[str]) -> int:
    """Return a port on which nobody listens on any of these addresses."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first = stack.enter_context(socket.create_server((ips[0], 0)))
            port = int(first.getsockname()[1])
            for ip in ips[1:]:
                stack.enter_context(socket.create_server((ip, port)))
            return port


def _end(app: "subprocess.Popen[bytes]") -> None:
    app.kill()
    app.wait()
