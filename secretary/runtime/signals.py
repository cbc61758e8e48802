"""Signals as requests that the main thread waits for.

SIGTERM and SIGINT ask to stop, SIGHUP asks to reload. A handler runs in the main thread between
any two instructions, so it only notes what was asked: an Event or a lock there could deadlock
with the very code it interrupts. What wakes the waiting thread is the byte that the interpreter
writes to the wakeup descriptor.
"""

import contextlib
import enum
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Self


class Request(enum.Enum):
    STOP = "stop"
    RELOAD = "reload"


_REQUESTS = {
    signal.SIGTERM: Request.STOP,
    signal.SIGINT: Request.STOP,
    signal.SIGHUP: Request.RELOAD,
}


class Signals:
    """Holds the handlers while it is entered, and puts back what it found.

    The main thread enters, waits and leaves. The second SIGTERM or SIGINT ends the process at
    once with 128 + its number, whatever the main thread is doing. A SIGHUP that was ignored
    stays so: that is what nohup asks for.
    """

    def __enter__(self) -> Self:
        self._asked: set[Request] = set()
        self._stopping = False
        with contextlib.ExitStack() as undo:
            self._reader, self._writer = socket.socketpair()
            undo.callback(self._reader.close)
            undo.callback(self._writer.close)
            self._writer.setblocking(False)
            undo.callback(
                signal.set_wakeup_fd,
                signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False),
            )
            for number in _REQUESTS:
                if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                undo.callback(signal.signal, number, signal.signal(number, self._note))
            self._undo: Callable[[], None] = undo.pop_all().close
        return self

    def __exit__(self, *_: object) -> None:
        self._undo()

    def wait(self, timeout_s: float | None) -> frozenset[Request]:
        """Return what was asked since the last call, as soon as there is something.

        Empty after `timeout_s` seconds (None: never) or a `wake()`.
        """
        # What was noted is never slept on, even if its byte has been read already.
        self._reader.settimeout(0 if self._asked else timeout_s)
        with contextlib.suppress(TimeoutError, BlockingIOError):
            self._reader.recv(4096)
        # The handler adds to the set it finds, so it is either in this one or in the next.
        asked, self._asked = self._asked, set()
        return frozenset(asked)

    def wake(self) -> None:
        """Make `wait` return, now or the next time. From any thread, also after the end."""
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody waits
            self._writer.send(b"\0")

    def _note(self, number: int, _: FrameType | None) -> None:
        request = _REQUESTS[signal.Signals(number)]
        if request is Request.STOP:
            if self._stopping:
                os._exit(128 + number)
            self._stopping = True
        self._asked.add(request)
