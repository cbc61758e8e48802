"""An app that tells what a proxy sent it, and a client that asks through the proxy.

with EchoApp("one") as app:
answer = Client(proxy_port).ask("web")
assert answer.app == "one"
assert app.seen[0].headers["host"] == "web"
"""

import base64
import contextlib
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

IP = "127.0.0.1"
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came to the app; names of headers in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    forwarded_for: tuple[str, ...] = ()
    """Each line of X-Forwarded-For."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    app: "EchoApp"

    def server_bind(self) -> None:
        # The one of HTTPServer asks the resolver for the name of the host.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def handle_error(self, *_: object) -> None:
        """A proxy that goes away is no news."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.app.connections.append(self.connection)

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def do_GET(self) -> None:
        app = self.server.app
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        forwarded_for = tuple(self.headers.get_all("X-Forwarded-For", ()))
        app.seen.append(Seen(self.command, self.path, headers, forwarded_for))
        if app.dropping.is_set():
            self.close_connection = True
        elif self._is_upgrade():
            self._echo()
        else:
            body = json.dumps({"app": app.name, "headers": headers}).encode()
            self.send_response(500 if self.path in app.failing else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815

    def _is_upgrade(self) -> bool:
        wants, what = self.headers.get("Connection", ""), self.headers.get("Upgrade", "")
        return "upgrade" in wants.lower() and what.lower() == "websocket"

    def _echo(self) -> None:
        """What follows an upgrade goes back as it comes."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accepted = base64.b64encode(hashlib.sha1(key.encode()).digest())  # noqa: S324 - RFC 6455
        self.close_connection = True
        self.send_response(101)
        self.send_header("Connection", "upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", accepted.decode())
        self.end_headers()
        while chunk := self.connection.recv(4096):
            self.connection.sendall(chunk)

    def log_message(self, *_: object) -> None:
        """Keep no access log."""


class EchoApp:
    """Listens while entered. `seen` are the requests, `connections` those that were opened.

    While `dropping` is set, it takes a request and closes the connection without an answer.
    A path that is in `failing` is answered with 500.
    """

    def __init__(self, name: str = "one", ip: str = IP, port: int = 0) -> None:
        self.name = name
        self.ip = ip
        self.port = port
        self.seen: list[Seen] = []
        self.connections: list[socket.socket] = []
        self.dropping = threading.Event()
        self.failing: set[str] = set()

    def __enter__(self) -> Self:
        kind = _Server6 if ":" in self.ip else _Server
        self._server = kind((self.ip, self.port), _Handler)
        self._server.app = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name=self.name
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        for connection in self.connections:
            with contextlib.suppress(OSError):  # most are closed already
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


@dataclass(frozen=True, slots=True)
class Answer:
    """`app` is which one answered, `got` the headers it saw; both empty if it was the proxy."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def app(self) -> str:
        return str(self._told.get("app", ""))

    @property
    def got(self) -> Mapping[str, str]:
        return dict(self._told.get("headers", {}))

    @property
    def _told(self) -> dict[str, Any]:
        if not self.body.startswith("{"):
            return {}
        told: dict[str, Any] = json.loads(self.body)
        return told


class Client:
    """One connection to a proxy, kept alive while entered. With `tls` it asks for `web`."""

    def __init__(self, port: int, ip: str = IP, tls: ssl.SSLContext | None = None) -> None:
        self._connection = HTTPConnection(ip, port, timeout=TIMEOUT_S)
        if tls is not None:
            plain = socket.create_connection((ip, port), timeout=TIMEOUT_S)
            self._connection.sock = tls.wrap_socket(plain, server_hostname="web")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self,
        host: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        path: str = "/",
        body: bytes | None = None,
    ) -> Answer:
        self._connection.request(method, path, body, {"Host": host, **(headers or {})})
        answer = self._connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, told, answer.read().decode())
