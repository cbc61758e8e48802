"""Name resolution that can be given up on.

getaddrinfo cannot be interrupted, so a name is looked up in a thread of its own, and at most one
at a time: a look-up that outlasts its probe is the one that the next probe waits for.
"""

import errno
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from secretary.agent.probes.deadline import Deadline
from secretary.core.errors import SettingsError

Address: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]
GetAddrInfo: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]


class _Lookup:
    """One call of getaddrinfo under way, or done."""

    def __init__(self, look_up: Callable[[], Sequence[tuple[Any, ...]]]) -> None:
        self._look_up = look_up
        self._found: Sequence[tuple[Any, ...]] = ()
        self._error: Exception | None = None
        self.done = threading.Event()
        try:
            threading.Thread(target=self._run, name="resolver", daemon=True).start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, "no thread could be started") from error

    def result(self) -> Sequence[tuple[Any, ...]]:
        if self._error is not None:
            raise self._error
        return self._found

    def _run(self) -> None:
        try:
            self._found = self._look_up()
        except Exception as error:  # whoever waits is the one to judge it
            self._error = error
        self.done.set()


class Resolver:
    """Finds the addresses of one host and port, for one thread."""

    def __init__(self, host: str, port: int, getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> None:
        """SettingsError when no such host can be."""
        self._host = host
        self._port = port
        self._getaddrinfo = getaddrinfo
        self._lookup: _Lookup | None = None
        self._literal = self._read_literal()

    def resolve(self, deadline: Deadline) -> list[Address]:
        """Return the addresses. TimeoutError at the deadline, OSError when there are none."""
        if self._literal:
            return self._literal
        deadline.phase = "resolving the name"
        lookup = self._lookup = self._lookup or _Lookup(self._look_up)
        if not lookup.done.wait(deadline.left_s()):
            raise TimeoutError
        self._lookup = None
        return _addresses(lookup.result())

    def _look_up(self) -> Sequence[tuple[Any, ...]]:
        try:
            return self._getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except socket.gaierror:
            # Out of descriptors, the C library says that it knows no such name. Ask the kernel.
            socket.socket().close()
            raise

    def _read_literal(self) -> list[Address]:
        try:
            return _addresses(
                socket.getaddrinfo(
                    self._host,
                    self._port,
                    type=socket.SOCK_STREAM,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        except socket.gaierror:
            return []
        except UnicodeError as error:
            raise SettingsError(
                f"--probe: {self._host}: no host name; between dots stand 1 to 63 characters"
            ) from error


def _addresses(found: Sequence[tuple[Any, ...]]) -> list[Address]:
    return [(family, address) for family, _, _, _, address in found]
