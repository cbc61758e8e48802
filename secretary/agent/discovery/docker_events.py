"""What happens to containers, as Docker tells it: one event after another, until it is closed.

An end that nobody asked for is a DockerError. What cannot be read as an event is left out.
"""

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from secretary.core.errors import DockerAway, DockerError

_log = logging.getLogger(__name__)

T = TypeVar("T")

HEALTH: Final = "health_status"
DOWNS: Final = frozenset({"die", "stop", "destroy", "pause", "kill"})
"""After these it does not serve, or (`kill`) may not."""
NETWORK: Final = frozenset({"connect", "disconnect"})
ACTIONS: Final = (
    *sorted(DOWNS | NETWORK), "rename", "start", "unpause", "update", HEALTH,
)  # fmt: skip
TYPES: Final = ("container", "network")

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A connection that lost its other end is noticed after half a minute."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a container, by the daemon's clock."""

    action: str
    container: str
    """Its id."""
    at_ns: int
    name: str = ""
    """As it was called then; the events of networks do not say."""
    detail: str = ""
    """The signal's number of a `kill`, the exit status of a `die`, the word of HEALTH."""

    @property
    def is_down(self) -> bool:
        return self.action in DOWNS


def decode(line: bytes) -> Event | None:
    """Read one event; None for what is no concern of ours. ValueError when it is none."""
    told = msgspec.json.decode(line, type=_Told)
    attributes = told.actor.attributes or {}
    action, _, word = told.action.partition(":")
    if told.type == "network":
        container = attributes.get("container", "")
        if action not in NETWORK or not container:
            return None
        return Event(action, container, told.at_ns)
    if told.type != "container" or action not in ACTIONS:
        return None
    detail = {
        "kill": attributes.get("signal", ""),
        "die": attributes.get("exitCode", ""),
        HEALTH: word.strip(),
    }.get(action, "")
    name = attributes.get("name", "").removeprefix("/")
    return Event(action, told.actor.id, told.at_ns, name, detail)


def socket_of(response: Any) -> "socket.socket | None":
    """Return the socket of an answer that is still to be read; None when there is nothing.

    The library closes a stream by this socket too; there is no public way to it.
    """
    reader = response.raw._fp.fp
    found: socket.socket | None = reader.raw._sock if reader is not None else None
    return found


class Events:
    """Iterate over it once for the events of a streamed `response`.

    When they end by themselves, what `ended` returns is raised. `close()` from any thread ends
    the iteration at once and may be called twice.
    """

    def __init__(self, response: Any, at: str, ended: Callable[[], DockerError]) -> None:
        self._response = response
        self._at = at
        self._ended = ended
        self._is_closed = False
        self._has_begun = False
        found = socket_of(response)
        if found is None:
            raise DockerAway(f"Docker at {at} does not answer: it ended the events")
        self._socket = found
        self._socket.settimeout(None)  # the answer's head came; events may take days
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE.items():
                if hasattr(socket, option):
                    self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def close(self) -> None:
        """End the iteration."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            # Not SSLSocket's own, which takes TLS away below whoever reads.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        if not self._has_begun:
            self._response.close()

    def __iter__(self) -> Iterator[Event]:
        self._has_begun = True
        try:
            for line in self._lines():
                try:
                    event = decode(line)
                except ValueError as error:
                    _log.warning("Docker at %s told no event: %s", self._at, error)
                    continue
                if event is not None:
                    yield event
        finally:
            self._response.close()

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        # A proxy between may not chunk; then only single bytes are sure to come at once.
        chunks = self._response.iter_content(None if self._response.raw.chunked else 1)
        while (chunk := self._next(chunks)) is not None:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from filter(bytes.strip, lines)
        if not self._is_closed:
            raise self._ended()

    def _next(self, chunks: Iterator[bytes]) -> bytes | None:
        try:
            return next(chunks, None)
        except Exception as error:  # closing makes the layers below stumble in several ways
            if self._is_closed:
                return None
            raise self._ended() from error


class _Actor(msgspec.Struct):
    id: str = msgspec.field(name="ID")
    attributes: dict[str, str] | None = msgspec.field(name="Attributes", default=None)


class _Told(msgspec.Struct):
    type: str = msgspec.field(name="Type")
    action: str = msgspec.field(name="Action")
    actor: _Actor = msgspec.field(name="Actor")
    at_ns: int = msgspec.field(name="timeNano")
