"""The renderer's loop: what comes from the directory goes through the guard to every group.

One thread decides; one more for each of the two things that are followed (records and drains),
and one that asks instances when the guard wants it. None of them ends before `stop()`.
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from secretary.core.drains import Drains
from secretary.core.errors import SecretaryError
from secretary.core.instance import Instance
from secretary.core.snapshot import Snapshot
from secretary.renderer.group import Group
from secretary.renderer.guard import Guard
from secretary.renderer.memory import Remembered
from secretary.renderer.services import Roster, View

_log = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PATIENCE_S: Final = 3.0
"""How long etcd gets at the start before we go on with what is remembered."""
SAVE_S: Final = 5.0
AGAIN_S: Final = 5.0
"""When to follow again after etcd has refused us."""
STOP_S: Final = 2.0


class Followed(Protocol[T_co]):
    """One part of the directory, as `store/follow.py` follows it."""

    @property
    def away(self) -> str | None: ...

    def __iter__(self) -> Iterator[T_co]: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Records:
    snapshot: Snapshot
    at_s: float


@dataclass(frozen=True, slots=True)
class _Drained:
    drains: Drains
    at_s: float


@dataclass(frozen=True, slots=True)
class _Answered:
    answers: Mapping[str, bool]


class _Stop:
    pass


_Event: TypeAlias = _Records | _Drained | _Answered | _Stop


class Loop:
    """`snapshot`, `drains`, `guard` and `view` may be read from any thread.

    `on_view` is called in the loop's thread after each view that was offered, `save` when what is
    known may be written down.
    """

    def __init__(
        self,
        records: Followed[Snapshot],
        drains: Followed[Drains],
        guard: Guard,
        groups: Sequence[Group],
        roster: Roster,
        *,
        ask: Callable[[Mapping[str, Instance]], dict[str, bool]],
        resync_s: float,
        on_view: Callable[[], None],
        save: Callable[[], None],
    ) -> None:
        self.snapshot = Snapshot()
        self.guard = guard
        self.view: View | None = None
        self.away: str | None = None
        """Why etcd cannot be read; None while it can."""
        self.beat_s = time.monotonic()
        self.heard_at: datetime | None = None
        """When etcd last said something."""
        self.alarms = 0
        self.drains = Drains()
        self._groups = groups
        self._roster = roster
        self._ask = ask
        self._resync_s = resync_s
        self._on_view = on_view
        self._save = save
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._following = (
            _Follower("records", records, self._put_records),
            _Follower("drains", drains, self._put_drains),
        )
        self._asking = False
        self._heard_drains = False
        self._patience_s = math.inf
        self._save_s = self._resynced_s = self.beat_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)

    def start(self, remembered: Remembered | None = None) -> None:
        """Begin, with what was known before."""
        if remembered is not None:
            self.snapshot, self.drains = remembered.snapshot, remembered.drains
            self.guard = self.guard.resumed(remembered.snapshot, remembered.held, time.monotonic())
        self._thread.start()
        for follower in self._following:
            follower.start()

    def stop(self) -> None:
        """End the loop and what it follows, within a few seconds; may be called twice."""
        self._stopping.set()
        self._events.put(_Stop())
        for follower in self._following:
            follower.end()
        for follower in self._following:
            follower.join()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    @property
    def is_alive(self) -> bool:
        """Whether all of its threads run."""
        return self._thread.is_alive() and all(each.is_alive for each in self._following)

    # What comes

    def _put_records(self, snapshot: Snapshot) -> None:
        self._events.put(_Records(snapshot, time.monotonic()))

    def _put_drains(self, drains: Drains) -> None:
        self._events.put(_Drained(drains, time.monotonic()))

    def _run(self) -> None:
        self._patience_s = time.monotonic() + PATIENCE_S
        while not self._stopping.is_set():
            self.beat_s = now_s = time.monotonic()
            due_s = min(
                self.guard.due_s(asking=self._asking),
                self._save_s + SAVE_S,
                self._resynced_s + self._resync_s,
                self._patience_s,
            )
            try:
                self._take(self._wait(due_s - now_s))
                self._tick(time.monotonic())
            except Exception:
                _log.exception("unforeseen; going on")

    def _wait(self, timeout_s: float) -> list[_Event]:
        """Return all that has come, as soon as there is something."""
        events: list[_Event] = []
        try:
            events.append(self._events.get(timeout=max(0.0, timeout_s)))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            return events

    def _take(self, events: Sequence[_Event]) -> None:
        """Take in what has come, and offer what it comes to once."""
        at_s = math.inf
        for event in events:
            match event:
                case _Records():
                    self._moved(event.snapshot)
                    at_s = min(at_s, event.at_s)
                case _Drained():
                    self.drains, self._heard_drains = event.drains, True
                    at_s = min(at_s, event.at_s)
                case _Answered():
                    self._asking = False
                    self._judged(self.guard.answered(event.answers, time.monotonic()))
                    at_s = min(at_s, time.monotonic())
                case _Stop():
                    return
        both = self.heard_at is not None and self._heard_drains
        if at_s < math.inf and (both or self.view is not None):
            self._offer(at_s)

    def _moved(self, after: Snapshot) -> None:
        before, self.snapshot = self.snapshot, after
        self.heard_at = datetime.now(UTC)
        if before.revision > after.revision:
            _log.warning(
                "etcd was made anew: revision %d after %d", after.revision, before.revision
            )
        self._judged(self.guard.moved(before, after, after.left, time.monotonic()))

    def _judged(self, after: Guard) -> None:
        """Take the guard's word, and say what is new in it."""
        before, self.guard = self.guard, after
        fresh = [after.held[key] for key in after.held.keys() - before.held.keys()]
        for name in sorted({each.lost.record.name for each in fresh}):
            self.alarms += 1
            _log.error(
                "too many records went at once: keeping %d of its instances while they answer",
                sum(each.lost.record.name == name for each in fresh),
                extra={"service": name},
            )
        for key in sorted(before.held.keys() - after.held.keys()):
            if key not in self.snapshot.instances:
                _log.warning("no longer kept", extra={"key": key})

    # What is done

    def _offer(self, at_s: float) -> None:
        """Give every group the view of what is known now."""
        held = {key: each.lost.record for key, each in self.guard.held.items()}
        instances = {**self.snapshot.instances, **held} if held else self.snapshot.instances
        self.view = self._roster.view(
            self.snapshot.revision,
            self.drains.revision,
            instances,
            held.keys(),
            frozenset(self.drains.endpoints.values()),
        )
        for group in self._groups:
            group.offer(self.view, at_s)
        self._on_view()

    def _tick(self, now_s: float) -> None:
        """Do what the time asks for."""
        if now_s >= self._patience_s:
            self._patience_s = math.inf
            self._go_on(now_s)
        troubles = (each.followed.away or each.trouble for each in self._following)
        self.away = next(filter(None, troubles), None)
        passed = self.guard.passed(now_s)
        if passed is not self.guard:
            self._judged(passed)
            self._offer(now_s)
        keys = [] if self._asking else self.guard.to_ask(now_s)
        if keys:
            self.guard = self.guard.asked(keys, now_s)
            self._start_asking({key: self.guard.held[key].lost.record for key in keys})
        if now_s >= self._resynced_s + self._resync_s:
            self._resynced_s = now_s
            for group in self._groups:
                group.resync()
        if now_s >= self._save_s + SAVE_S:
            self._save_s = now_s
            self._save()

    def _go_on(self, now_s: float) -> None:
        """Begin with what there is, where one part of the directory has not been heard of."""
        if self.view is not None:
            return
        if self.heard_at is not None:
            _log.warning("what operators have drained cannot be read; going on without it")
            self._offer(now_s)
        elif self.snapshot.revision:
            _log.warning("etcd does not answer; going on with what was remembered")
            self._offer(now_s)

    @property
    def known(self) -> Remembered:
        """What is known, to be remembered."""
        held = {key: each.lost.record for key, each in self.guard.held.items()}
        return Remembered(self.snapshot, self.drains, held)

    def _start_asking(self, instances: Mapping[str, Instance]) -> None:
        def ask() -> None:
            answers: dict[str, bool] = {}
            try:
                answers = self._ask(instances)
            except Exception:
                _log.exception("the instances could not be asked")
            self._events.put(_Answered(answers))

        threading.Thread(target=ask, name="ask", daemon=True).start()
        self._asking = True


class _Follower(Generic[T]):
    """Iterates over what is followed in a thread, and begins anew where it ends with an error."""

    def __init__(self, name: str, followed: Followed[T], put: Callable[[T], None]) -> None:
        self.followed = followed
        self.trouble: str | None = None
        """Why it cannot be followed, for a reason that waiting does not mend."""
        self._put = put
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        self._stopping.set()
        self.followed.stop()

    def join(self) -> None:
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                for state in self.followed:
                    self.trouble = None
                    self._put(state)
            except SecretaryError as error:
                if str(error) != self.trouble:
                    _log.error("%s; trying again", error)
                self.trouble = str(error)
            except Exception as error:
                _log.exception("unforeseen; following again")
                self.trouble = str(error)
            self._stopping.wait(AGAIN_S)
