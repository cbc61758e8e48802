"""A TCP connection within a deadline, and what its failure says of the app."""

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final

from secretary.agent.ports import Outcome, ProbeResult
from secretary.agent.probes.deadline import BoundedSocket, Deadline
from secretary.agent.probes.resolver import Resolver
from secretary.core.values import printable

DETAIL_CHARACTERS: Final = 200

_OURS: Final = {
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN,
    errno.EAFNOSUPPORT,
    errno.EADDRNOTAVAIL,  # every local port is taken, as on a busy proxy
}  # fmt: skip
"""Errors of this host: the probe could not be run."""
_NO_SUCH_FAMILY: Final = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENETUNREACH}
"""What `::1` meets on a host without IPv6: not a word about the app, if there is another."""


def connect(resolver: Resolver, deadline: Deadline) -> BoundedSocket:
    """Return a connection to the first address that takes one.

    Raises OSError otherwise: a refusal only when nobody listens on any of them.
    """
    addresses = resolver.resolve(deadline)
    deadline.phase = "connecting"
    errors: list[OSError] = []
    for number, (family, address) in enumerate(addresses):
        try:
            share_s = deadline.left_s() / (len(addresses) - number)
            return _connect(family, address, deadline, share_s)
        except OSError as error:
            errors.append(error)
    raise max(errors, key=_weight, default=OSError(errno.EHOSTUNREACH, "the name has no address"))


def _connect(
    family: socket.AddressFamily, address: tuple[Any, ...], deadline: Deadline, timeout_s: float
) -> BoundedSocket:
    connection = BoundedSocket(family, socket.SOCK_STREAM)
    connection.deadline = deadline
    try:
        connection.settimeout(timeout_s)
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        connection.close()
        raise
    return connection


def _weight(error: OSError) -> int:
    """How much an address' error says.

    An error of this host outweighs doubt, which outweighs refusal: only if all refuse is nobody
    there. That this host lacks a family says nothing at all.
    """
    if error.errno in _NO_SUCH_FAMILY:
        return 0
    if isinstance(error, ConnectionRefusedError | ConnectionResetError):
        return 1
    return 3 if error.errno in _OURS else 2


def failed(error: Exception, deadline: Deadline) -> ProbeResult:
    """Return what a probe's failure says. Raises what it does not know."""
    outcome, detail = _judge(error, deadline)
    return result(outcome, detail, deadline)


def result(outcome: Outcome, detail: str, deadline: Deadline) -> ProbeResult:
    """Return a result whose detail is one line of printable ASCII, whatever the app has sent."""
    ascii_only = printable(detail).encode("ascii", "backslashreplace").decode()
    return ProbeResult(outcome, ascii_only[:DETAIL_CHARACTERS], deadline.spent_s)


def _judge(error: Exception, deadline: Deadline) -> tuple[Outcome, str]:
    for cause in _causes(error):
        match cause:
            case TimeoutError():
                return Outcome.DOUBT, f"timed out after {deadline.timeout_s:g} s {deadline.phase}"
            case http.client.RemoteDisconnected():
                return Outcome.DOUBT, "closed without an answer"
            case ConnectionRefusedError():
                return Outcome.REFUSED, "refused"
            case ConnectionResetError() | BrokenPipeError():
                return Outcome.REFUSED, f"reset {deadline.phase}"
            case ssl.SSLError():
                return Outcome.DOUBT, f"TLS: {_tls_reason(cause)}"
            case socket.gaierror() if cause.errno == socket.EAI_MEMORY:
                return Outcome.ERROR, "no memory on this host to resolve the name"
            case socket.gaierror():
                return Outcome.DOUBT, f"the name does not resolve: {cause.strerror}"
            case OSError() if cause.errno in _OURS:
                return Outcome.ERROR, f"{os.strerror(cause.errno)} on this host"
            case OSError() if cause.errno is not None:
                return Outcome.DOUBT, cause.strerror or os.strerror(cause.errno)
            case http.client.IncompleteRead():
                return Outcome.DOUBT, "closed before the end of the body"
            case http.client.HTTPException():
                return Outcome.DOUBT, f"not HTTP: {str(cause) or type(cause).__name__}"
    raise error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what stands behind it, that which happened first at last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or str(error)).replace("_", " ").lower()
