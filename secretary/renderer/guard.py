"""What is kept although its record is gone, because too much went at once.

Pure: takes snapshots, the answers of those that were asked, and the time of a monotonic clock;
returns the guard after it. Losing many instances at once is more often the directory's trouble
than the apps': so those that still answer are kept for a while, and nobody goes below a floor.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from secretary.core.instance import Instance
from secretary.core.settings import GuardSettings
from secretary.core.snapshot import Snapshot

LEAST_SERVICE: Final = 4
"""A smaller service may lose any share of itself: that is an ordinary day."""
WINDOW_S: Final = 10.0
"""What goes within this time goes at once: agents that have lost etcd renewed their leases of 30 s
every 10 s, so theirs end one after the other, spread over as long."""
ASK_AGAIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Lost:
    """An instance whose record went at `at_s`."""

    key: str
    record: Instance
    at_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """A lost instance that is kept; `floor` says that it is kept whether it answers or not.

    `ask_s` is when it is to be asked next.
    """

    lost: Lost
    ask_s: float
    floor: bool = False


@dataclass(frozen=True, slots=True)
class Guard:
    """`held` by key. `counts` are the records of each service in the last snapshot."""

    settings: GuardSettings
    held: Mapping[str, Held] = field(default_factory=dict)
    recent: tuple[Lost, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def resumed(self, snapshot: Snapshot, held: Mapping[str, Instance], now_s: float) -> Self:
        """Go on where another guard ended, at `snapshot`, with what it held."""
        lost = (Lost(key, record, now_s) for key, record in held.items())
        return replace(
            self,
            held={each.key: Held(each, now_s) for each in lost},
            counts=Counter(record.name for record in snapshot.instances.values()),
        )

    def moved(self, before: Snapshot, after: Snapshot, left: Iterable[str], now_s: float) -> Self:
        """Judge the step from one snapshot to the next; `left` are keys that went on purpose.

        When the directory was made anew (its revision is younger), all that is missing counts.
        """
        on_purpose = frozenset(left)
        gone = before.instances.keys() - after.instances.keys()
        lost = [Lost(key, before.instances[key], now_s) for key in sorted(gone - on_purpose)]
        recent = (*(each for each in self.recent if each.at_s > now_s - WINDOW_S), *lost)
        held = {
            key: each
            for key, each in self.held.items()
            if key not in after.instances and key not in on_purpose
        }
        recent = tuple(each for each in recent if each.key not in after.instances)
        counts = self.counts
        if lost or after.instances.keys() - before.instances.keys() or not counts:
            counts = Counter(record.name for record in after.instances.values())
        if recent:
            anew = after.revision < before.revision
            suspects = [
                e for e in recent if anew or self._is_too_much(e.record.name, recent, counts)
            ]
            there = _endpoints(after) if suspects else frozenset()
            for each in suspects:
                if each.key not in held and _endpoint(each.record) not in there:
                    held[each.key] = Held(each, now_s)
        # What a floor kept so far is a candidate again, unless it has come back or left.
        kept = [each.lost for each in held.values()]
        return replace(self, held=held, recent=recent, counts=counts)._floored(kept, now_s)

    def asked(self, keys: Iterable[str], now_s: float) -> Self:
        """Note that these are being asked."""
        held = dict(self.held)
        for key in keys:
            held[key] = replace(held[key], ask_s=now_s + ASK_AGAIN_S)
        return replace(self, held=held)

    def answered(self, answers: Mapping[str, bool], now_s: float) -> Self:
        """Let those go that did not answer."""
        held = {k: each for k, each in self.held.items() if each.floor or answers.get(k, True)}
        kept = [each.lost for each in self.held.values()]
        return replace(self, held=held)._floored(kept, now_s)

    def passed(self, now_s: float) -> Self:
        """Let those go whose time is over."""
        held = {
            key: each
            for key, each in self.held.items()
            if each.floor or now_s - each.lost.at_s < self.settings.hold_s
        }
        if len(held) == len(self.held):
            return self
        kept = [each.lost for each in self.held.values()]
        return replace(self, held=held)._floored(kept, now_s)

    def to_ask(self, now_s: float) -> list[str]:
        """Return the keys that are to be asked now."""
        return [k for k, each in self.held.items() if not each.floor and each.ask_s <= now_s]

    def due_s(self, *, asking: bool = False) -> float:
        """Return when to look again; inf while nothing is held. `asking`: nobody is asked now."""
        moments = [
            min(math.inf if asking else each.ask_s, each.lost.at_s + self.settings.hold_s)
            for each in self.held.values()
            if not each.floor
        ]
        return min(moments, default=math.inf)

    def _is_too_much(self, name: str, recent: tuple[Lost, ...], counts: Mapping[str, int]) -> bool:
        lost = sum(each.record.name == name for each in recent)
        size = counts.get(name, 0) + lost
        return size >= LEAST_SERVICE and lost > self.settings.max_loss * size

    def _floored(self, kept: Iterable[Lost], now_s: float) -> Self:
        """Keep as many of the last lost (or `kept` before) as the floors want, and no more."""
        if not self.settings.min_instances:
            return self
        held = {key: each for key, each in self.held.items() if not each.floor}
        lost = {each.key: each for each in (*kept, *self.recent) if each.key not in held}
        for name, least in self.settings.min_instances.items():
            there = self.counts.get(name, 0)
            there += sum(each.lost.record.name == name for each in held.values())
            candidates = sorted(
                (each for each in lost.values() if each.record.name == name),
                key=lambda each: (each.at_s, each.key),
                reverse=True,
            )
            for each in candidates[: max(0, least - there)]:
                held[each.key] = Held(each, now_s, floor=True)
        return replace(self, held=held)


def _endpoint(record: Instance) -> tuple[str, str]:
    return record.name, record.addr


def _endpoints(snapshot: Snapshot) -> frozenset[tuple[str, str]]:
    return frozenset(_endpoint(record) for record in snapshot.instances.values())
