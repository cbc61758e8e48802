"""A Docker API on the loopback that passes on to a real daemon, or to none, and can be at fault.

It has no memory but that of what was asked.
"""

import enum
import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_STALL_S = 30.0


class Fault(enum.Enum):
    DROP = "drop"
    """The connection is closed, and nobody is asked."""
    LOSE = "lose"
    """It is carried out, and the connection closed."""
    STALL = "stall"
    """Nothing comes until `going_on` is set."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that is given without asking anybody."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class DockerRelay(ThreadingHTTPServer):
    """`rules` are patterns of `METHOD /path` (without the API's version), the first that fits wins.

    `upstream` is the path of a daemon's socket; without one all else is answered by 404. `asked`
    is what came so far, with each request's body.
    """

    daemon_threads = True

    def __init__(self, upstream: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.rules: dict[str, Fault | Said] = {}
        self.asked: list[tuple[str, Any]] = []
        self.going_on = threading.Event()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.server_address[1]}"

    def rule(self, asked: str) -> Fault | Said | None:
        rules = list(self.rules.items())
        return next((rule for pattern, rule in rules if re.search(pattern, asked)), None)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went: that is what the tests make them do."""


@contextmanager
def docker_relay(upstream: str | None = None) -> Iterator[DockerRelay]:
    with DockerRelay(upstream) as relay:
        thread = threading.Thread(target=relay.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield relay
        finally:
            relay.going_on.set()
            relay.shutdown()
            thread.join()


class _Upstream(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


class _Handler(BaseHTTPRequestHandler):
    server: DockerRelay

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = re.sub(r"^/v[0-9.]+(?=/)", "", self.path)
        asked = f"{self.command} {path}"
        self.server.asked.append((asked, json.loads(body) if body else None))
        rule = self.server.rule(asked)
        if rule is Fault.STALL:
            self.server.going_on.wait(_STALL_S)
        if isinstance(rule, Fault) and rule is not Fault.LOSE:
            return
        said = rule if isinstance(rule, Said) else self._pass_on(body)
        if rule is not Fault.LOSE:
            self._say(said)

    def do_POST(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def _pass_on(self, body: bytes) -> Said:
        if self.server.upstream is None:
            return Said(404, {"message": "there is no daemon"})
        upstream = _Upstream(self.server.upstream)
        try:
            upstream.request(self.command, self.path, body, {"Content-Type": "application/json"})
            answer = upstream.getresponse()
            return Said(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            upstream.close()

    def _say(self, said: Said) -> None:
        body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        self.send_response_only(said.status)
        for name, value in said.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if said.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if said.status not in (204, 304):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
