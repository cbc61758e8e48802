"""What goes wrong in the test cloud on purpose, and what it was asked.

A fault stands before the services: what it meets is not carried out, or carried out and
answered as if it had not been. It knows nothing of what the services do.
"""

import json
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

CONNECTION = "secretary.connection"
"""Where in a request's environment the socket stands."""
MARK = "an injected fault"


@dataclass
class Fault:
    """Meets requests of `method` whose path and query `path` is found in, `times` of them (or all).

    `does` is "status", "drop", "hang" (until the client gives up) or "garbage".
    """

    method: str = "."
    path: str = ""
    does: str = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    applied: bool = False
    """Whether the request is carried out before."""
    times: int = 0
    """How often; 0 for always."""

    def meets(self, method: str, path: str) -> bool:
        return bool(re.match(self.method, method) and re.search(self.path, path))


class Faults:
    """Passes requests on to `app`, except those that meet a fault."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.all: list[Fault] = []
        self.asked: list[tuple[str, str]] = []
        """Method and path, with the query, of all that came."""

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING")
        method = environ["REQUEST_METHOD"]
        path = environ["PATH_INFO"] + (f"?{query}" if query else "")
        self.asked.append((method, path))
        fault = next((each for each in self.all if each.meets(method, path)), None)
        if fault is None:
            return self._app(environ, start)
        if fault.times == 1:
            self.all.remove(fault)
        fault.times = max(fault.times - 1, 0)
        if fault.applied:
            self._carry_out(environ)
        return _answer(fault, environ, start)

    def _carry_out(self, environ: WSGIEnvironment) -> None:
        def forget(*_: Any) -> Any:
            return lambda _: None

        for _ in self._app(environ, forget):
            """The answer is lost."""


def _answer(fault: Fault, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    connection: socket.socket = environ[CONNECTION]
    if fault.does == "hang":
        connection.recv(1)  # nothing comes before the client's end
    if fault.does in ("hang", "drop"):
        connection.shutdown(socket.SHUT_RDWR)
        return []
    body = fault.body
    if body is None:
        body = {"fault": {"code": fault.status, "message": MARK}}
    told = b"<html>no JSON" if fault.does == "garbage" else json.dumps(body).encode()
    status = 200 if fault.does == "garbage" else fault.status
    kind = "text/html" if fault.does == "garbage" else "application/json"
    headers = [("Content-Type", kind), ("Content-Length", str(len(told))), *fault.headers.items()]
    start(f"{status} {MARK}", headers)
    return [told]
