"""The listener survives what its host runs out of."""

import contextlib
import os
import resource
import socket
import socketserver
from collections.abc import Iterator

import pytest

from secretary.core.settings import HostPort
from secretary.runtime.listener import Listener
from tests.waiting import wait_for


class Hello(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"hello")


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener(HostPort("127.0.0.1", 0), Hello)
    listener.start()
    yield listener
    listener.stop(5)


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_that_came_while_descriptors_were_out_is_served_later(
    listener: Listener,
) -> None:
    with socket.socket() as client:
        with no_descriptors_left():
            client.connect((listener.address.host, listener.address.port))
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.recv(5)
        client.settimeout(10)
        assert client.recv(5) == b"hello"


def test_a_client_that_hangs_up_takes_nothing_along(listener: Listener) -> None:
    """A reset, after which the next one is served."""
    for _ in range(3):
        with socket.socket() as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            rude.connect((listener.address.host, listener.address.port))

    def served() -> bool:
        with socket.create_connection((listener.address.host, listener.address.port), 10) as polite:
            return polite.recv(5) == b"hello"

    wait_for(served)
