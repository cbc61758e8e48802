"""DigitalOcean's API on this host, for tests: stateful, and strict with both sides.

Each request and each answer is held against the public specification; what breaks it fails the
test in the end. Faults can be put into the way of any request.
"""

import json
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.clouds.digitalocean_account import Account
from tests.clouds.digitalocean_faults import Fault, Faults
from tests.clouds.digitalocean_routes import Answer, answer
from tests.clouds.digitalocean_specification import Asked

RESET_S: Final = 90
"""So long a limit lasts, as each answer says."""


class DigitalOceanApi(ThreadingHTTPServer):
    """`asked` are the requests so far, as METHOD and path, with those that met a fault."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.account = Account()
        self.faults = Faults()
        self.asked: list[str] = []
        self.violations: list[str] = []

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def environ(self) -> dict[str, str]:
        """Return what tells a provider of this API and of a token that is right."""
        (token,) = self.account.tokens
        return {"DIGITALOCEAN_API_URL": self.url, "DIGITALOCEAN_TOKEN": token}

    def reset(self) -> None:
        """Let everything be as it was at the beginning; but no violation is forgotten."""
        self.faults.clear()
        self.account.reset()
        self.asked.clear()

    def handle_error(self, *_: object) -> None:
        """Note what is our own fault; clients that went have their deadlines."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.violations.append("".join(traceback.format_exception(error)))


@contextmanager
def digitalocean_api(host: str = "127.0.0.1") -> Iterator[DigitalOceanApi]:
    """AssertionError in the end if either side has broken the specification."""
    with DigitalOceanApi(host) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.faults.clear()
            server.shutdown()
            thread.join()
    assert not server.violations, "\n".join(server.violations)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DigitalOceanApi

    def _answer(self) -> None:
        asked = self._read()
        self.server.asked.append(f"{asked.method} {asked.path}")
        self._over = self.server.faults.end()
        fault = self.server.faults.take(asked.method, asked.path)
        if fault is None:
            self._tell(asked, self._carried_out(asked))
        else:
            self._fail(asked, fault)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

    def _read(self) -> Asked:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return Asked(self.command, unquote(parts.path), query, dict(self.headers), body)

    def _carried_out(self, asked: Asked) -> Answer:
        authorization = asked.headers.get("Authorization", "")
        if authorization.removeprefix("Bearer ") not in self.server.account.tokens:
            return Answer(401, {"id": "unauthorized", "message": "Unable to authenticate you"})
        if (violation := asked.violation()) is not None:
            self.server.violations.append(violation)
            return Answer(422, {"id": "unprocessable_entity", "message": violation})
        body = json.loads(asked.body) if asked.body else None
        return answer(self.server.account, asked.method, asked.path, asked.query, body)

    def _fail(self, asked: Asked, fault: Fault) -> None:
        if fault.is_applied:
            self._carried_out(asked)
        if self._over.wait(fault.delay_s) or fault.status is None:
            self.close_connection = True
        elif fault.drip:
            self._drip()
        else:
            body = fault.written(asked.path)
            self._say(fault.status, {"Content-Type": "application/json", **fault.headers}, body)
            if fault.body is None:
                self._check(asked, fault.status, fault.headers, body)

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        while not self._over.wait(0.05):
            self.wfile.write(b" ")  # fails when the client has gone
            self.wfile.flush()

    def _tell(self, asked: Asked, told: Answer) -> None:
        headers, body = {}, b""
        if told.body is not None:
            headers, body = {"Content-Type": "application/json"}, json.dumps(told.body).encode()
        self._check(asked, told.status, headers, body)
        self._say(told.status, headers, body)

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        more = {"Content-Length": str(len(body)), "Connection": "close"}
        for key, value in (_limits() | more | headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def _check(self, asked: Asked, status: int, headers: Any, body: bytes) -> None:
        violation = asked.answered(status, _limits() | dict(headers), body)
        if violation is not None:
            self.server.violations.append(violation)

    def log_message(self, *_: object) -> None:
        pass


def _limits() -> dict[str, str]:
    return {
        "ratelimit-limit": "5000",
        "ratelimit-remaining": "4999",
        "ratelimit-reset": str(int(time.time()) + RESET_S),
    }
