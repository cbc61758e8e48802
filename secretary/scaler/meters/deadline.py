"""Reading from others within bounds: so much time for all of it, and so many bytes.

A socket's own timeout starts anew at each read, so that who drips a byte now and then holds it
for ever. These sockets give every read and write the time that is left of the whole. Looking up a
name cannot be interrupted: each ask has a thread of its own, which is given up on.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Any, Final, Protocol, TypeVar

from secretary.core.errors import MeterError
from secretary.core.values import printable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MOST_BYTES: Final = 8 * 1024 * 1024
"""A server of HAProxy's is less than one KB."""
MOST_SAID: Final = 200


class Deadline:
    """`timeout_s` seconds from now."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Return the seconds left. TimeoutError when there are none."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s


class _Bounded:
    """What both kinds of socket have in common; reads and writes go through these."""

    deadline: Deadline
    left = MOST_BYTES

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(self.deadline.left_s())  # type: ignore[attr-defined]
        size: int = super().recv_into(*arguments, **options)  # type: ignore[misc]
        self.left -= size
        if self.left < 0:
            raise OSError(f"the answer is longer than {MOST_BYTES >> 20} MiB")
        return size

    def sendall(self, *arguments: Any, **options: Any) -> None:
        # Both kinds keep one timeout over the whole of a sendall.
        self.settimeout(self.deadline.left_s())  # type: ignore[attr-defined]
        super().sendall(*arguments, **options)  # type: ignore[misc]


class BoundedSocket(_Bounded, socket.socket):
    """A socket whose `deadline` is to be set before it is used."""


class BoundedTLS(_Bounded, ssl.SSLSocket):
    """The same under TLS. Its handshake keeps the timeout that it finds on the plain socket."""


class Ask(Protocol[T_co]):
    """Asks somebody for something. Raises MeterError, OSError, or what http.client does."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def __call__(self, deadline: Deadline) -> T_co: ...


def together(asks: Sequence[Ask[T]], timeout_s: float) -> list[T]:
    """Return what all of them say, asked at once.

    MeterError names the first that says nothing of use within `timeout_s`.
    """
    deadline = Deadline(timeout_s)
    futures = [_begun(ask, deadline) for ask in asks]
    wait(futures, timeout_s)
    return [_outcome(ask, future, timeout_s) for ask, future in zip(asks, futures, strict=True)]


def _begun(ask: Ask[T], deadline: Deadline) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(ask(deadline))
        except Exception as error:  # whoever waits is the one to judge it
            future.set_exception(error)

    try:
        threading.Thread(target=run, name=f"meter {ask.name}", daemon=True).start()
    except RuntimeError:
        future.set_exception(OSError("no thread could be started"))
    return future


def _outcome(ask: Ask[T], future: Future[T], timeout_s: float) -> T:
    try:
        return future.result(0)
    except TimeoutError:
        raise MeterError(f"{ask.name}: no answer within {timeout_s:g} s") from None
    except ssl.SSLError as error:
        said = getattr(error, "verify_message", "") or error.reason or str(error)
        raise MeterError(f"{ask.name}: TLS: {said}") from error
    except OSError as error:
        raise MeterError(f"{ask.name}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise MeterError(f"{ask.name}: no host can have this name") from error
    except http.client.IncompleteRead as error:
        raise MeterError(f"{ask.name}: hung up in the middle of its answer") from error
    except http.client.HTTPException as error:
        said = str(error) or type(error).__name__
        raise MeterError(f"{ask.name}: does not speak HTTP: {shown(said)}") from error


def shown(text: str) -> str:
    """Return what somebody else said as it may stand in a message."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= MOST_SAID else f"{line[:MOST_SAID]}…"
