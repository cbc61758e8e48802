"""`http://` and `https://`: one request on a connection of its own, all within one deadline.

Built on requests, through an adapter that replaces its pool: no redirect is followed, no proxy,
cookie or netrc is used, and the body is read to its end or to 64 KiB, whichever comes first.
The regular expression is the operator's own: what it costs over 64 KiB is not bounded here.
"""

import contextlib
import functools
import http.client
import io
import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

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
        except (OSError, http.client.HTTPException) as error:
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


class _OneConnection(BaseAdapter):
    """Makes a connection for a request, and closes it with the answer."""

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__()
        parts = urlsplit(settings.target)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._resolver = Resolver(self._host, self._port)
        self._server_name = _sound(settings.server_name)
        self._trust = _trust(settings) if secure else None

    def exchange(self, request: requests.PreparedRequest, deadline: Deadline) -> requests.Response:
        """Send the request and return the answer, its body read as far as it goes.

        Raises OSError, or what http.client makes of a broken answer.
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
            )
            # The library's own method, below urllib3's: that one logs each malformed header, at
            # every probe. Nor does requests build the response, for it would parse the cookies.
            raw = http.client.HTTPConnection.getresponse(connection)
            deadline.phase = "reading the body"
            with contextlib.closing(raw):
                response = requests.Response()
                response.status_code = raw.status
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


def _beginning(raw: http.client.HTTPResponse) -> bytes:
    """Return the body as far as it is read. IncompleteRead when it ends before it should."""
    body, size = memoryview(bytearray(MOST_BODY)), 0
    # Into a buffer of our own: read() would take a chunk of size -1 for all that ever comes.
    while size < MOST_BODY and (taken := raw.readinto(body[size:])):
        size += taken
    if size < MOST_BODY and raw.length:  # what is still to come; None when nobody has said
        raise http.client.IncompleteRead(bytes(body[:size]), raw.length)
    return bytes(body[:size])


def _trust(settings: ProbeSettings) -> ssl.SSLContext:
    """Return whom to trust: --probe-cacert, or the system's authorities, or, insecurely, all.

    The system's, not those that requests brings along: there an operator adds the house's own.
    """
    cacert = settings.cacert
    if settings.insecure:  # loads no authorities: they can take most of a megabyte
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif cacert is None and settings.cert is None:
        return _system_trust()
    else:
        context = _read("--probe-cacert", cacert, lambda: ssl.create_default_context(cafile=cacert))
    if settings.cert is not None:
        _show(context, settings.cert, settings.key)
    context.sslsocket_class = BoundedTLS
    return context


def _sound(name: str | None) -> str | None:
    """Return the name if TLS can ask for it. SettingsError when it cannot."""
    try:
        asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        asking.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name or "localhost")
    except ValueError as error:
        raise SettingsError(f"--probe-server-name: {name}: no host name") from error
    return name


@functools.cache
def _system_trust() -> ssl.SSLContext:
    """Return the context of all that trust the system's authorities and show nothing.

    One for the process: these authorities take 700 KB. What the system adds to them later is
    seen after a restart.
    """
    context = ssl.create_default_context()
    context.sslsocket_class = BoundedTLS
    return context


def _show(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    """Load the certificate to show to the app. The key may stand in the same file."""
    for option, path in (("--probe-cert", cert), ("--probe-key", key)):
        if path is not None:
            _read(option, path, Path(path).read_bytes)
    pair = f"{cert} with {key}" if key else cert
    # Without a password given, OpenSSL asks the terminal for that of an encrypted key.
    _read("--probe-cert", pair, lambda: context.load_cert_chain(cert, key, password=_no_password))


def _no_password() -> bytes:
    raise OSError("the key is encrypted")


def _read(option: str, path: str | None, load: Callable[[], T]) -> T:
    try:
        return load()
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{option}: {path}: {reason}; give a PEM file without a password"
        ) from error


def _listed(ranges: Sequence[StatusRange]) -> str:
    return ",".join(
        str(each.low) if each.low == each.high else f"{each.low}-{each.high}" for each in ranges
    )
