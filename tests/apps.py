"""An app that a test makes healthy, wrong, hanging or gone."""

import contextlib
import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    app: "App"

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        app = self.server.app
        if app.hanging.is_set():
            app.released.wait()
            return
        with contextlib.suppress(OSError):
            self.send_response(app.status)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None:
        """Keep no access log."""


class App:
    """Listens on 127.0.0.1 while entered. `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.hanging = threading.Event()
        self.released = threading.Event()
        self.port = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/healthz"

    def __enter__(self) -> Self:
        self.recover()
        return self

    def __exit__(self, *_: object) -> None:
        self.crash()

    def recover(self) -> None:
        """Listen, on the same port as before."""
        self.hanging.clear()
        self.released.clear()
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.app = self
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="app"
        )
        self._thread.start()

    def crash(self) -> None:
        """Refuse connections from now on."""
        self.released.set()
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None and thread is not None:
            server.shutdown()
            thread.join()
            server.server_close()


def free_port() -> int:
    """Return a port on which nobody listens, on any address, and from which nobody connects.

    Below Linux's range for outgoing connections: none takes it before its server is up.
    """
    while True:
        port = random.randrange(10_000, 20_000)  # noqa: S311 - any will do
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            return port
