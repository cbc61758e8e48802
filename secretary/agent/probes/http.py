"""`http://` and `https://`: one request on a connection of its own, all within one deadline.

Built on requests, through an adapter that replaces its pool: no redirect is followed, no proxy,
cookie or netrc is used, and the body is read to its end or to 64 KiB, whichever comes first.
"""

import contextlib
import http.client
import io
import re
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

import secretary
from secretary.agent.ports import Outcome, ProbeResult
from secretary.agent.probes.connection import connect, failed, result
from secretary.agent.probes.deadline import BoundedSocket, BoundedTLS, Deadline
from secretary.agent.probes.resolver import Resolver
from secretary.core.errors import SettingsError
from secretary.core.settings import ProbeSettings, StatusRange

T = TypeVar("T")

MOST_BODY: Final = 64 * 1024
HEADERS: Final = {
    "User-Agent": f"secretary/{secretary.__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class HttpProbe:
    """Passes when the status is among those expected and the body matches."""

    def __init__(self, settings: ProbeSettings) -> None:
        """SettingsError when a certificate or key cannot be read."""
        self._settings = settings
        self._adapter = _OneConnection(settings)
        self._pattern = re.compile(settings.expect_body) if settings.expect_body else None
        self._request = requests.Request(
            settings.method, settings.target, headers={**HEADERS, **dict(settings.headers)}
        ).prepare()

    def run(self) -> ProbeResult:
        deadline = Deadline(self._settings.timeout_s)
        try:
            response = self._adapter.exchange(self._request, deadline)
        except (OSError, HTTPError, http.client.HTTPException) as error:
            return failed(error, deadline)
        return self._judge(response, deadline)

    def _judge(self, response: requests.Response, deadline: Deadline) -> ProbeResult:
        status, wanted = response.status_code, self._settings.expect_status
        if not any(each.low <= status <= each.high for each in wanted):
            return result(Outcome.DOUBT, f"status {status}, want {_listed(wanted)}", deadline)
        if self._pattern and not self._pattern.search(response.content.decode(errors="replace")):
            return result(
                Outcome.DOUBT, f"the body does not match /{self._pattern.pattern}/", deadline
            )
        return result(Outcome.PASS, f"status {status}", deadline)


class _OneConnection(HTTPAdapter):
    """Makes a connection for a request, and closes it with the answer."""

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        parts = urlsplit(settings.target)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._resolver = Resolver(self._host, self._port)
        self._server_name = settings.server_name
        self._trust = _trust(settings) if secure else None

    def exchange(self, request: requests.PreparedRequest, deadline: Deadline) -> requests.Response:
        """Send the request and return the answer, its body read as far as it goes.

        Raises OSError, or what urllib3 and http.client make of a broken answer.
        """
        connection = self._connection(deadline)
        try:
            connection.connect()
            if isinstance(connection.sock, BoundedTLS):
                connection.sock.deadline = deadline
            deadline.phase = "waiting for the answer"
            connection.request(
                request.method or "GET",
                request.path_url,
                headers=request.headers,
                preload_content=False,
                decode_content=False,
            )
            raw = connection.getresponse()
            deadline.phase = "reading the body"
            with contextlib.closing(raw):
                response = self.build_response(request, raw)
                response.raw = io.BytesIO(_beginning(raw))
            return response
        finally:
            connection.close()

    def _connection(self, deadline: Deadline) -> HTTPConnection:
        if self._trust is None:
            return _Plain(self._resolver, deadline, self._host, self._port)
        return _Secure(
            self._resolver,
            deadline,
            self._host,
            self._port,
            ssl_context=self._trust,
            server_hostname=self._server_name,
        )


class _Bounded:
    """What replaces urllib3's way of making the socket."""

    def __init__(
        self, resolver: Resolver, deadline: Deadline, *of_urllib3: Any, **more: Any
    ) -> None:
        super().__init__(*of_urllib3, **more)
        self._resolver = resolver
        self._deadline = deadline

    def _new_conn(self) -> BoundedSocket:
        connection = connect(self._resolver, self._deadline)
        connection.settimeout(self._deadline.left_s())
        self._deadline.phase = "in the TLS handshake"
        return connection


class _Plain(_Bounded, HTTPConnection):
    """A plain connection."""


class _Secure(_Bounded, HTTPSConnection):
    """A TLS connection; the handshake gets the time that is left."""


def _beginning(raw: HTTPResponse) -> bytes:
    """Return the body as far as it is read. Raises when it ends before it should."""
    body = b""
    # Only a read that finds nothing more tells a body that was cut short.
    while len(body) < MOST_BODY and (chunk := raw.read(MOST_BODY - len(body))):
        body += chunk
    return body


def _trust(settings: ProbeSettings) -> ssl.SSLContext:
    """Return whom to trust: --probe-cacert, or the system's authorities, or, insecurely, all."""
    cacert = settings.cacert
    context = _read("--probe-cacert", cacert, lambda: ssl.create_default_context(cafile=cacert))
    context.sslsocket_class = BoundedTLS
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if (cert := settings.cert) is not None:
        _read("--probe-cert", cert, lambda: context.load_cert_chain(cert, settings.key))
    return context


def _read(option: str, path: str | None, load: Callable[[], T]) -> T:
    try:
        return load()
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise SettingsError(f"{option}: {path}: {reason}; a readable PEM file") from error


def _listed(ranges: Sequence[StatusRange]) -> str:
    return ",".join(
        str(each.low) if each.low == each.high else f"{each.low}-{each.high}" for each in ranges
    )
