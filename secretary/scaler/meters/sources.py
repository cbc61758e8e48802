"""Where a metric is read: a page of a server, or HAProxy's admin socket.

Only asks for what is there. Of a page no redirect is followed; no proxy, cookie, netrc, user or
password is used.
"""

import http.client
import os
import socket
import ssl
from typing import Final

import secretary
from secretary.core.addresses import url as split_url
from secretary.core.addresses import without_secrets
from secretary.core.errors import MeterError
from secretary.scaler.meters.deadline import BoundedSocket, BoundedTLS, Deadline, shown

_SCHEMES: Final = ("http://", "https://")
_END: Final = b"\n\n"
"""Of what the socket answers, whatever it is."""
_HEADERS: Final = {
    "User-Agent": f"secretary/{secretary.__version__}",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Page:
    """A page of an http:// or https:// server, the latter checked by the system's authorities.

    `may_refuse` are statuses whose body says more than the status does: it is returned too.
    """

    def __init__(self, url: str, query: str = "", may_refuse: frozenset[int] = frozenset()) -> None:
        """Raise ValueError, which says what is wrong with the URL. `query` comes at its end."""
        if not url.startswith(_SCHEMES):
            raise ValueError("it begins with neither http:// nor https://")
        secure = url.startswith("https://")
        parts, at = split_url(url, 443 if secure else 80)
        if "#" in url:
            raise ValueError("a fragment is never sent")
        if query and parts.query:
            raise ValueError("a query does not belong here")
        self.name = without_secrets(url)
        self._at = at
        self._netloc = parts.netloc
        self._path = (parts.path or "/") + (f"?{all_}" if (all_ := parts.query or query) else "")
        self._may_refuse = may_refuse
        self._trust = ssl.create_default_context() if secure else None
        if self._trust is not None:
            self._trust.sslsocket_class = BoundedTLS

    def __call__(self, deadline: Deadline) -> bytes:
        connection = _Connection(self._at.host, self._at.port)
        connection.begin(deadline, self._trust)
        try:
            connection.request("GET", self._path, headers={"Host": self._netloc, **_HEADERS})
            with connection.getresponse() as response:
                body = response.read()
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK and response.status not in self._may_refuse:
            raise MeterError(f"{self.name}: {_refusal(response.status, body)}")
        return body


class AdminSocket:
    """One command for HAProxy's admin socket."""

    def __init__(self, path: str, command: str) -> None:
        self.name = path
        self._command = command

    def __call__(self, deadline: Deadline) -> bytes:
        with BoundedSocket(socket.AF_UNIX) as connection:
            connection.deadline = deadline
            connection.settimeout(deadline.left_s())
            try:
                connection.connect(self.name)
            except TimeoutError:
                raise
            except OSError as error:
                why = os.strerror(error.errno) if error.errno else str(error)
                raise MeterError(
                    f"{self.name}: {why}; does haproxy run, and with this socket?"
                ) from error
            connection.sendall(f"{self._command}\n".encode())
            with connection.makefile("rb") as file:
                answer = file.read()
        if not answer.endswith(_END):
            raise MeterError(f"{self.name}: hung up in the middle of its answer")
        return answer


class _Connection(http.client.HTTPConnection):
    """To a server by its whole deadline."""

    def begin(self, deadline: Deadline, trust: ssl.SSLContext | None) -> None:
        plain = socket.create_connection((self.host, self.port), deadline.left_s())
        self.sock = bounded = BoundedSocket(fileno=plain.detach())
        try:
            bounded.deadline = deadline
            bounded.settimeout(deadline.left_s())
            if trust is not None:
                self.sock = trust.wrap_socket(bounded, server_hostname=self.host)
                self.sock.deadline = deadline  # type: ignore[attr-defined]
        except BaseException:
            self.close()
            raise


def _refusal(status: int, body: bytes) -> str:
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    words = shown(body[:1000].decode(errors="replace"))
    return f"answered {status}{hint}" + (f": {words}" if words else "")
