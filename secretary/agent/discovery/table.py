"""Which containers serve, decided from what Docker tells: no clock, thread or call is here.

What is known stays until Docker tells otherwise; what comes late, of a life before, changes
nothing. Times come in as values (`now_s`, monotonic).
"""

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from signal import SIGKILL, Signals
from typing import Final

from secretary.agent.discovery.docker_events import Event
from secretary.agent.discovery.inspected import Inspected
from secretary.core.container import Container, Health

LEAST_LEAVING_S: Final = 900.0
"""How long a container that was told to stop may go on before it is taken back, at least.

Docker does not tell how much time `docker stop --time` gives it.
"""


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one container. `name` and `reason` are for the log."""

    changed: bool = False
    health_changed: bool = False
    name: str = ""
    reason: str = ""
    """Why it went out; empty when it did not."""
    stays: bool = False
    """Whether it was told to stop long ago, and is taken back."""
    is_news: bool = False
    """Whether its labels are for us, so that somebody may have asked for its record."""


NOTHING: Final = Moved()


@dataclass(frozen=True, slots=True)
class _Leaving:
    """It was told to stop in the life that began at `started_at`."""

    started_at: str
    until_s: float


@dataclass(frozen=True, slots=True)
class _Life:
    started_at: str
    life: int


class Table:
    """The containers that serve, by id. Changed in one thread; `running` is replaced whole."""

    def __init__(self) -> None:
        self.running: tuple[Container, ...] = ()
        self._serving: dict[str, Inspected] = {}
        self._leaving: dict[str, _Leaving] = {}
        self._lives: dict[str, _Life] = {}
        """The last life of each that ran or was paused when last heard of."""
        self._killed: dict[str, Event] = {}
        """Signals for whom we do not know: the next look tells what they meant."""

    def __contains__(self, id_: str) -> bool:
        return id_ in self._serving

    def health(self, id_: str) -> Health | None:
        known = self._serving.get(id_)
        return known.health if known is not None else None

    def sharing(self, owner: str) -> Iterator[str]:
        """Yield who shares the network of `owner`."""
        return (each.id for each in self._serving.values() if each.network_of == owner)

    def is_late(self, event: Event) -> bool:
        """Whether `event` seems to be of a life before: it changes nothing, and one should ask."""
        known = self._serving.get(event.container)
        return known is not None and event.at_ns < known.started_ns

    def down(self, event: Event, now_s: float) -> Moved:
        """Take out whom `event` ends, without asking anybody."""
        if self.is_late(event):
            return NOTHING
        id_ = event.container
        known = self._serving.get(id_)
        if event.action == "kill":
            return self._kill(event, known, now_s)
        if event.action != "pause":
            for memory in (self._leaving, self._lives, self._killed):
                memory.pop(id_, None)
        return self._out(id_, _reason(event))

    def told_health(self, event: Event) -> Moved:
        """Take up what the HEALTHCHECK says now."""
        known = self._serving.get(event.container)
        if known is None or self.is_late(event):
            return NOTHING
        with contextlib.suppress(ValueError):  # a word that Docker did not have so far
            health = Health(event.detail)
            self._serving[event.container] = replace(known, health=health)
            return Moved(health_changed=health is not known.health)
        return NOTHING

    def take(self, seen: Inspected, now_s: float) -> Moved:
        """Take up what an inspection saw."""
        id_ = seen.id
        leaving = self._leaving.get(id_)
        stays = False
        if leaving is not None and leaving.started_at != seen.started_at:
            del self._leaving[id_]
        elif leaving is not None and now_s >= leaving.until_s:
            del self._leaving[id_]
            stays = seen.serves
        killed = self._killed.pop(id_, None)
        if killed is not None and seen.serves and killed.at_ns >= seen.started_ns:
            self._kill(killed, seen, now_s)
        if not seen.serves or id_ in self._leaving:
            return self._out(id_, "no longer serves")
        return replace(self._in(seen), stays=stays)

    def gone(self, id_: str) -> Moved:
        """Take out whom Docker does not know any more."""
        for memory in (self._leaving, self._lives, self._killed):
            memory.pop(id_, None)
        return self._out(id_, "no longer there")

    def keep_only(self, ids: Collection[str]) -> list[Moved]:
        """Take out all but `ids`, and forget what else is known of those others."""
        for memory in (self._leaving, self._lives, self._killed):
            for id_ in [id_ for id_ in memory if id_ not in ids]:
                del memory[id_]
        gone = [id_ for id_ in self._serving if id_ not in ids]
        return [self._out(id_, "no longer runs, or is not asked for any more") for id_ in gone]

    def _kill(self, event: Event, known: Inspected | None, now_s: float) -> Moved:
        if known is None:
            if event.container not in self._leaving:
                self._killed[event.container] = event
            return NOTHING
        if event.detail not in (str(known.stop_signal), str(int(SIGKILL))):
            return NOTHING
        patience_s = max(LEAST_LEAVING_S, 2.0 * (known.stop_timeout_s or 0))
        self._leaving[known.id] = _Leaving(known.started_at, now_s + patience_s)
        return self._out(known.id, _reason(event))

    def _in(self, seen: Inspected) -> Moved:
        known, last = self._serving.get(seen.id), self._lives.get(seen.id)
        life = 0
        if last is not None and last.started_at == seen.started_at:
            life = last.life + (known is None)
        self._lives[seen.id] = _Life(seen.started_at, life)
        self._serving[seen.id] = now = replace(seen, container=replace(seen.container, life=life))
        if known is None or known.container != now.container:
            self._renew()
            changed = True
        else:
            changed = False
        return Moved(changed, known is not None and known.health is not now.health)

    def _out(self, id_: str, reason: str) -> Moved:
        known = self._serving.pop(id_, None)
        if known is None:
            return NOTHING
        self._renew()
        container = known.container
        is_news = bool(container.labels or container.environ or container.published)
        return Moved(changed=True, name=container.name, reason=reason, is_news=is_news)

    def _renew(self) -> None:
        serving = sorted(self._serving.values(), key=lambda each: (each.container.name, each.id))
        self.running = tuple(each.container for each in serving)


def _reason(event: Event) -> str:
    match event.action:
        case "kill":
            with contextlib.suppress(ValueError):
                return f"killed by {Signals(int(event.detail)).name}"
            return f"killed by signal {event.detail}"
        case "die":
            return f"ended with status {event.detail or 'unknown'}"
        case "pause":
            return "paused"
        case "destroy":
            return "removed"
        case _:
            return "stopped"
