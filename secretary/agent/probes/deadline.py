"""The one deadline of a probe, and the sockets that keep it.

A socket's own timeout starts anew at each read, so a peer that drips a byte now and then holds it
for ever. These sockets give every read and write the time that is left of the whole.
"""

import socket
import ssl
import time
from typing import Any


class Deadline:
    """`timeout_s` seconds from now. `phase` says what the probe is busy with, for its answer."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.phase = "connecting"
        self.began_s = time.monotonic()

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.began_s

    def left_s(self) -> float:
        """Return the seconds left. TimeoutError when there are none."""
        left_s = self.timeout_s - self.spent_s
        if left_s <= 0:
            raise TimeoutError
        return left_s


class _Bounded:
    """What both kinds of socket have in common; reads and writes go through these."""

    deadline: Deadline

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(self.deadline.left_s())  # type: ignore[attr-defined]
        return super().recv_into(*arguments, **options)  # type: ignore[misc, no-any-return]

    def sendall(self, *arguments: Any, **options: Any) -> None:
        # Both kinds keep one timeout over the whole of a sendall.
        self.settimeout(self.deadline.left_s())  # type: ignore[attr-defined]
        super().sendall(*arguments, **options)  # type: ignore[misc]


class BoundedSocket(_Bounded, socket.socket):
    """A TCP socket with a deadline."""


class BoundedTLS(_Bounded, ssl.SSLSocket):
    """The same under TLS. Its handshake keeps the timeout that it finds on the plain socket."""

    deadline = Deadline(0)
    """Replaced once the handshake is over, before the first read."""
