"""A TCP listener that no client can hold up: a thread for each, and a bounded number of them.

When all places are taken, whoever has been there longest makes room. What is said on a
connection is the handler's business.
"""

import contextlib
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from secretary.core.settings import HostPort

_log = logging.getLogger(__name__)

PLACES = 16
_UNDISTURBED_S = 0.25
"""How long a client keeps its place even if others want it: a burst of quick ones is served."""


class Listener(socketserver.TCPServer):
    """Bound and listening once made; OSError or UnicodeError if that cannot be."""

    allow_reuse_address = True  # a restart binds at once
    request_queue_size = 128

    def __init__(
        self, address: HostPort, handler: Callable[..., socketserver.BaseRequestHandler]
    ) -> None:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self.address_family, _, _, _, where = found[0]
        # An IPv6 address has two parts more, which the library passes on.
        super().__init__(cast("tuple[str, int]", where), handler)
        self._stopping = threading.Event()
        self._places = threading.BoundedSemaphore(PLACES)
        self._open: dict[socket.socket, tuple[threading.Thread, float]] = {}
        """Each client's thread, and when it came; the longest there is first."""
        self._accepting = threading.Thread(target=self._accept, name="listener", daemon=True)

    @property
    def address(self) -> HostPort:
        host, port = self.socket.getsockname()[:2]
        return HostPort(host, port)

    def start(self) -> None:
        self._accepting.start()

    def stop(self, timeout_s: float) -> None:
        """Close the port and every connection; wait at most `timeout_s` for their threads."""
        deadline_s = time.monotonic() + timeout_s
        self._stopping.set()
        _hang_up(self.socket)  # on Linux this is what wakes the thread that accepts
        self._accepting.join(timeout_s)
        self.server_close()
        for connection, (thread, _) in list(self._open.items()):
            _hang_up(connection)
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _accept(self) -> None:
        while not self._stopping.is_set():
            self.handle_request()

    def get_request(self) -> tuple[socket.socket, object]:
        try:
            return super().get_request()
        except OSError:
            self._stopping.wait(0.1)  # out of descriptors: the client stays in the queue
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room():
            self.shutdown_request(request)
            return
        thread = threading.Thread(
            target=self._converse,
            args=(request, client_address),
            name="listener-client",
            daemon=True,
        )
        self._open[request] = thread, time.monotonic()
        try:
            thread.start()
        except RuntimeError:  # out of threads
            self._leave(request)

    def _room(self) -> bool:
        """Take a place; False if nobody leaves even after being hung up on."""
        for oldest, (_, since_s) in list(self._open.items())[:1]:
            undisturbed_s = since_s + _UNDISTURBED_S - time.monotonic()
            if self._places.acquire(timeout=max(0.0, undisturbed_s)):
                return True
            _hang_up(oldest)
        return self._places.acquire(timeout=_UNDISTURBED_S)

    def _converse(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # it went away or was too slow
        except Exception:
            _log.exception("a client could not be answered")
        finally:
            self._leave(request)

    def _leave(self, request: socket.socket) -> None:
        del self._open[request]
        self.shutdown_request(request)
        self._places.release()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
