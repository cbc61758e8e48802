"""The directory as it changes: a snapshot, then another after each change, none left out.

Listed once at a revision and watched from the next; a watch that breaks is taken up again where
it broke, and where that is compacted away, or etcd was made anew, the whole is listed again.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from secretary.core.errors import Compacted, LoginExpired, StoreUnavailable
from secretary.core.snapshot import Change, Snapshot
from secretary.core.values import printable
from secretary.store.etcd import Etcd
from secretary.store.registry import Registry
from secretary.store.watch import Watch

T = TypeVar("T")
_log = logging.getLogger(__name__)

_BROKEN: Final = (StoreUnavailable, LoginExpired)


class Following:
    """Iterate over it for `Snapshot`s of `prefix`; `stop()` from any thread ends the iteration.

    etcd away is waited for, logged once; a StoreMisconfigured is raised. A record that does not
    decode is reported once, with its key.
    """

    def __init__(self, etcd: Etcd, prefix: str) -> None:
        self._etcd = etcd
        self._prefix = prefix
        self._stop = threading.Event()
        self._watch: Watch | None = None

    def stop(self) -> None:
        """End the iteration; may be called twice."""
        self._stop.set()
        if (watch := self._watch) is not None:
            watch.cancel()

    def __iter__(self) -> Iterator[Snapshot]:
        snapshot: Snapshot | None = None
        while not self._stop.is_set():
            try:
                if snapshot is None:
                    snapshot = self._patiently(lambda: Registry(self._etcd).snapshot(self._prefix))
                    _report(Snapshot(), snapshot)
                    yield snapshot
                with self._patiently(partial(self._open, snapshot.revision + 1)) as watch:
                    for batch in watch:
                        changes = (Change(key, value) for key, value in batch.changes)
                        before, snapshot = snapshot, snapshot.apply(batch.revision, changes)
                        _report(before, snapshot)
                        yield snapshot
            except Compacted:
                snapshot = None
            except _BROKEN as error:
                if not self._stop.is_set():
                    _log.info("%s; watching again", error)
                    self._etcd.next_member()

    def _open(self, revision: int) -> Watch:
        self._watch = self._etcd.watch(f"{self._prefix}/", revision)
        if self._stop.is_set():  # stop() may have come too early to see this watch
            self._watch.cancel()
        return self._watch

    def _patiently(self, ask: Callable[[], T]) -> T:
        return Retrying(
            retry=retry_if_exception_type(_BROKEN),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            sleep=sleep_using_event(self._stop),
            stop=stop_when_event_set(self._stop),
            before_sleep=_say_once,
            reraise=True,
        )(ask)


def _say_once(state: RetryCallState) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        _log.warning("%s; trying again until it answers", state.outcome.exception())


def _report(before: Snapshot, after: Snapshot) -> None:
    for key, reason in after.rejected.items():
        if before.rejected.get(key) != reason:
            _log.warning("left out a bad record at %s: %s", printable(key), printable(reason))
