"""What answers in Docker's place on the loopback, as a test dictates it, over TCP or TLS."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class DockerServer(ThreadingHTTPServer):
    """`answers` are status and body by path, without the version before it.

    `events` are lines that `/events` tells before it waits for `ending`; `is_chunked` says how.
    With `drips_s` an answer's bytes come so far apart, and `dripping` says that they have begun to.
    """

    daemon_threads = True

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, Any]] = {
            "/version": (200, {"ApiVersion": "1.41"}),
            "/containers/json": (200, []),
            "/events": (200, None),
        }
        self.events: list[bytes] = []
        self.is_chunked = True
        self.drips_s: float | None = None
        self.dripping = threading.Event()
        self.ending = threading.Event()
        self._trust = trust
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.server_address[1]}"

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._trust is not None:
            connection.settimeout(5)
            connection = self._trust.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went: that is what the tests make them do."""


@contextmanager
def docker_server(trust: ssl.SSLContext | None = None) -> Iterator[DockerServer]:
    with DockerServer(trust) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DockerServer
    _plain: ClassVar[frozenset[str]] = frozenset({"/version"})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path not in self._plain:
            path = path.removeprefix("/v1.41")
        self.server.asked.append(path)
        status, body = self.server.answers.get(path, (404, {"message": "no such container"}))
        if path == "/events" and status == 200:
            self._tell()
            return
        written = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        if self.server.drips_s is None:
            self.wfile.write(written)
        else:
            self._drip(written, self.server.drips_s)

    def _drip(self, written: bytes, apart_s: float) -> None:
        for byte in written:
            self.wfile.write(bytes([byte]))
            self.server.dripping.set()
            if self.server.ending.wait(apart_s):
                return

    def _tell(self) -> None:
        is_chunked = self.server.is_chunked
        self.send_response(200)
        self.send_header(
            *(("Transfer-Encoding", "chunked") if is_chunked else ("Connection", "close"))
        )
        self.end_headers()
        for line in self.server.events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line) if is_chunked else line)
        self.server.ending.wait(20)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
