"""How a program is watched: four pages over HTTP.

/livez, /readyz   200 or 503 and one line of text
/status           JSON
/metrics          for Prometheus

It only tells; nothing can be changed here. What the pages say is the program's own affair.
"""

import contextlib
import functools
import http.client
import io
import json
import logging
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from secretary.core.errors import SettingsError
from secretary.core.pages import Pages, Verdict
from secretary.core.settings import HostPort
from secretary.runtime.listener import Listener
from secretary.runtime.metrics import exposition

_log = logging.getLogger(__name__)
_CLIENT_TIMEOUT_S = 5.0
"""What a client gets to say what it wants, and again to take its answer."""
_STOP_TIMEOUT_S = 2.0
_HEAD_LIMIT = 16 * 1024
_ANSWER_LIMIT = 64 * 1024
_TEXT = "text/plain; charset=utf-8"


class StatusServer:
    """Serves `pages` at `address` between `start()` and `stop()`; port 0 takes any free one."""

    def __init__(self, address: HostPort, pages: Pages) -> None:
        self.address = address
        """What was asked for; once started, what was bound."""
        self._pages = pages
        self._listener: Listener | None = None

    def start(self) -> None:
        """Bind and serve. SettingsError if the address cannot be had."""
        try:
            listener = Listener(self.address, functools.partial(_Conversation, self._pages))
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SettingsError(
                f"--status {self.address}: cannot listen there: {reason}; "
                "give another address, or --status off"
            ) from error
        listener.start()
        self._listener, self.address = listener, listener.address

    def stop(self) -> None:
        """Close the port within 2 seconds; may be called twice."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop(_STOP_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT


def _line(status: HTTPStatus, text: str) -> _Reply:
    return _Reply(status, f"{text}\n".encode("utf-8", "backslashreplace"))


def _verdict(verdict: Verdict) -> _Reply:
    return _line(HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE, verdict.text)


def _page(pages: Pages, path: str) -> _Reply:
    match path:
        case "/livez":
            return _verdict(pages.live())
        case "/readyz":
            return _verdict(pages.ready())
        case "/status":
            text = json.dumps(pages.status(), indent=2, ensure_ascii=False) + "\n"
            # A byte of an argument that is no UTF-8 comes out as JSON's own \udc…
            body = text.encode("utf-8", "backslashreplace")
            return _Reply(HTTPStatus.OK, body, "application/json")
        case "/metrics":
            return _Reply(HTTPStatus.OK, *exposition(pages.metrics()))
        case _:
            there = "/livez /readyz /status /metrics"
            return _line(HTTPStatus.NOT_FOUND, f"no such page; there are {there}")


class _Conversation(BaseHTTPRequestHandler):
    """One request and its answer."""

    timeout = _CLIENT_TIMEOUT_S
    default_request_version = "HTTP/1.0"  # so that nonsense, too, is answered with a status

    def __init__(self, pages: Pages, *of_the_library: Any) -> None:
        self._pages = pages
        super().__init__(*of_the_library)  # which does it all

    def setup(self) -> None:
        super().setup()
        with self.rfile:  # it would wait for each line anew, however slowly they come
            self.rfile = io.BytesIO(self._head())

    def _head(self) -> bytes:
        """Read the request up to its empty line, all within the client's time."""
        head = b""
        deadline_s = time.monotonic() + _CLIENT_TIMEOUT_S
        while not (b"\r\n\r\n" in head or b"\n\n" in head or len(head) > _HEAD_LIMIT):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self.connection.settimeout(left_s)
            if not (chunk := self.connection.recv(4096)):
                break
            head += chunk
        self.connection.settimeout(_CLIENT_TIMEOUT_S)
        return head

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            reply = _page(self._pages, path)
        except Exception as error:
            _log.exception("the page %s could not be made", path)
            reply = _line(HTTPStatus.INTERNAL_SERVER_ERROR, type(error).__name__)
        self._send(reply)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the library refuses, in plain text."""
        refused = HTTPStatus(code)
        if refused is HTTPStatus.NOT_IMPLEMENTED:  # its word for a method that has no do_…
            refused = HTTPStatus.METHOD_NOT_ALLOWED
        self._send(_line(refused, refused.phrase))

    def _send(self, reply: _Reply) -> None:
        self.send_response_only(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Cache-Control", "no-store")
        if reply.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep no access log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a status server said; `status` is None when there was no answer, and `text` why."""

    status: int | None
    text: str


def ask(address: HostPort, page: str, timeout_s: float, most: int = _ANSWER_LIMIT) -> Answer:
    """Ask the status server of this host for `page`, waiting `timeout_s` for each of its steps.

    No more than `most` bytes of the answer are read.
    An address that means "every interface" leads to the loopback: the kernel sees to that.
    """
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
    with contextlib.closing(connection):
        try:
            connection.request("GET", page)
            response = connection.getresponse()
            text = response.read(most).decode("utf-8", "replace")
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return Answer(None, f"no answer from {address}: {reason}")
        return Answer(response.status, text.strip())
