"""Tells the directory what this renderer has applied, so that others can wait for it.

In a thread of its own. What cannot be told is tried again; it never holds up a configuration.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from secretary.core.errors import SecretaryError

T = TypeVar("T")
_log = logging.getLogger(__name__)

STOP_S: Final = 3.0


class Board(Protocol):
    """See `store/board.py` for what each call promises."""

    @property
    def ttl_s(self) -> int: ...

    def post(self, value: bytes) -> None: ...

    def renew(self) -> bool: ...

    def orphan(self) -> None: ...

    def close(self) -> None: ...


class Herald:
    """`report()` is asked for what to say, None for nothing yet; `tell()` from any thread."""

    def __init__(self, board: Board, report: Callable[[], bytes | None]) -> None:
        self.trouble: str | None = None
        self._board = board
        self._report = report
        self._keep = False
        self._looking = False
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="herald", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tell(self) -> None:
        """Say what there is to say, soon."""
        self._wake.set()

    def look(self) -> None:
        """See now whether the word still stands, rather than when the lease is to be renewed."""
        self._looking = True
        self._wake.set()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self, *, keep: bool = False) -> None:
        """Begin to take the word back; `keep` leaves it to whoever comes next."""
        self._keep = self._keep or keep
        self._stopping.set()
        self._wake.set()

    def stop(self, *, keep: bool = False) -> None:
        """Take the word back, within a few seconds."""
        self.end(keep=keep)
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        said: bytes | None = None
        while not self._stopping.is_set():
            woken = self._wake.wait(self._board.ttl_s / 3)
            self._wake.clear()
            try:
                look, self._looking = self._looking or not woken, False
                if look and said is not None and not self._persist(self._board.renew):
                    said = None  # lost with its lease: what is true now is to be said anew
                report = self._report()
                if report is not None and report != said:
                    self._persist(partial(self._board.post, report))
                    said = report
            except Exception as error:
                if not self._stopping.is_set():
                    _log.exception("unforeseen; going on")
                self.trouble = str(error)
        if self._keep:
            self._board.orphan()
            return
        try:
            self._board.close()
        except SecretaryError as error:
            _log.warning("%s; what was said there expires", error)

    def _persist(self, act: Callable[[], T]) -> T:
        done = Retrying(
            retry=retry_if_exception_type(SecretaryError),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            sleep=sleep_using_event(self._stopping),
            stop=stop_when_event_set(self._stopping),
            before_sleep=self._say_once,
            reraise=True,
        )(act)
        self.trouble = None
        return done

    def _say_once(self, state: RetryCallState) -> None:
        error = str(state.outcome.exception()) if state.outcome else ""
        if self.trouble is None:
            _log.warning("cannot say what is applied: %s; trying again", error)
        self.trouble = error
