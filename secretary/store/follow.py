"""What stands under a prefix as it changes: a state, then another after each change, none left out.

Listed once at a revision and watched from the next; a watch that breaks is taken up again where
it broke, and where that is compacted away, or etcd was made anew, the whole is listed again.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final, Generic, Protocol, Self, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from secretary.core.errors import Compacted, LoginExpired, StoreUnavailable
from secretary.core.snapshot import Change
from secretary.core.values import printable
from secretary.store.etcd import Etcd
from secretary.store.watch import Watch

T = TypeVar("T")
_log = logging.getLogger(__name__)

_BROKEN: Final = (StoreUnavailable, LoginExpired)
JITTER: Final = 0.1
CATCH_UP_S: Final = 0.5
"""What a watch that goes on after a break gets to tell what it has missed."""
MOST_OF_A_KEY: Final = 300
"""What a log shows of a key that somebody else has made."""


class State(Protocol):
    """What is followed, at one revision; immutable. `rejected` says what was left out, by key."""

    @property
    def revision(self) -> int: ...

    @property
    def rejected(self) -> Mapping[str, str]: ...

    def apply(self, revision: int, changes: Iterable[Change]) -> Self: ...

    def listed(self, revision: int, changes: Iterable[Change]) -> Self: ...

    def holds_as(self, other: Self) -> bool:
        """Whether it says the same as `other`, revisions apart."""
        ...


S = TypeVar("S", bound=State)


class Following(Generic[S]):
    """Iterate over it for the states of `prefix`; `stop()` from any thread ends the iteration.

    etcd away is waited for, logged once; a StoreMisconfigured is raised, and the iteration may
    be begun anew. What does not decode is reported once, with its key. With `resync_s` all is
    listed again after so long, 10 % more or less, and yielded if it is not as it was known.
    """

    def __init__(self, etcd: Etcd, prefix: str, start: S, *, resync_s: float | None = None) -> None:
        self._etcd = etcd
        self._prefix = f"{prefix}/"
        self._state = start
        self._next = 0
        """The revision from which the watch goes on."""
        self._resync_s = resync_s
        self._stop = threading.Event()
        self._watch: Watch | None = None
        self.away: str | None = None
        """Why etcd cannot be read; None while it can."""

    def stop(self) -> None:
        """End the iteration; may be called twice."""
        self._stop.set()
        if (watch := self._watch) is not None:
            watch.cancel()

    def __iter__(self) -> Iterator[S]:
        is_known = is_sound = is_resumed = False
        while not self._stop.is_set():
            try:
                if not is_known:
                    after = self._patiently(self._list)
                    # While the watch was sound, a list can only confirm it.
                    if not (is_sound and after.holds_as(self._state)):
                        yield self._moved(after)
                    is_known = is_sound = True
                until_s = self._next_resync_s()
                if is_resumed:
                    # What was missed comes first. Then all is listed: an etcd that was made anew
                    # meanwhile, and written beyond what we have seen, looks the same.
                    until_s = time.monotonic() + CATCH_UP_S
                with self._patiently(partial(self._open, self._next)) as watch:
                    if is_resumed:
                        watch.ask()
                    for batch in watch:
                        if batch is not None:
                            changes = [Change(key, value) for key, value in batch.changes]
                            self._next = batch.revision + 1
                            yield self._moved(self._state.apply(batch.revision, changes))
                        if time.monotonic() >= until_s:
                            is_known = is_resumed = False
                            break
                        if is_resumed and batch is None:
                            self._stop.wait(CATCH_UP_S / 5)
                            watch.ask()
            except Compacted:
                is_known = is_sound = is_resumed = False
            except _BROKEN as error:
                is_sound, is_resumed = False, is_known
                if not self._stop.is_set():
                    _log.info("%s; watching again", error)
                    self._etcd.next_member()

    def _moved(self, after: S) -> S:
        for key, reason in after.rejected.items():
            if self._state.rejected.get(key) != reason:
                shown = printable(key)[:MOST_OF_A_KEY]
                _log.warning("left out what is at %s: %s", shown, printable(reason))
        self._state = after
        return after

    def _list(self) -> S:
        listing = self._etcd.list(self._prefix)
        changes = [Change(entry.key, entry.value) for entry in listing.entries]
        self._next = listing.revision + 1
        return self._state.listed(listing.revision, changes)

    def _open(self, revision: int) -> Watch:
        self._watch = self._etcd.watch(self._prefix, revision)
        if self._stop.is_set():  # stop() may have come too early to see this watch
            self._watch.cancel()
        return self._watch

    def _next_resync_s(self) -> float:
        if self._resync_s is None:
            return float("inf")
        jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - only spreads the load
        return time.monotonic() + self._resync_s * jitter

    def _patiently(self, ask: Callable[[], T]) -> T:
        answer = Retrying(
            retry=retry_if_exception_type(_BROKEN),
            wait=wait_random_exponential(multiplier=0.2, max=1),
            sleep=sleep_using_event(self._stop),
            stop=stop_when_event_set(self._stop),
            before_sleep=self._say_once,
            reraise=True,
        )(ask)
        if self.away is not None:
            self.away = None
            _log.info("etcd answers again")
        return answer

    def _say_once(self, state: RetryCallState) -> None:
        if state.outcome is None:
            return
        error = str(state.outcome.exception())
        if self.away is None:
            _log.warning("%s; trying again until it answers", error)
        self.away = error
