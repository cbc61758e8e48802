"""What the directory says reaches every group, through the guard, whatever happens on the way."""

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import pytest

from secretary.core.drains import Drains
from secretary.core.errors import AccessDenied
from secretary.core.instance import Instance
from secretary.core.settings import GuardSettings
from secretary.core.snapshot import Snapshot
from secretary.renderer import loop as loop_module
from secretary.renderer.group import Group
from secretary.renderer.guard import Guard
from secretary.renderer.loop import Loop
from secretary.renderer.memory import Remembered
from secretary.renderer.services import Roster, View
from tests.unit.renderer.records import instance, snapshot
from tests.waiting import stays, wait_for

T = TypeVar("T")


class Followed(Generic[T]):
    """A part of the directory that says what the test wants it to."""

    def __init__(self) -> None:
        self.away: str | None = None
        self.states: queue.SimpleQueue[T | Exception | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[T]:
        while (state := self.states.get()) is not None:
            if isinstance(state, Exception):
                raise state
            yield state

    def stop(self) -> None:
        self.states.put(None)


class Offered(Group):
    """Keeps the views that it is offered."""

    def __init__(self) -> None:
        self.views: list[View] = []
        self.resyncs = 0

    def offer(self, view: View, at_s: float) -> None:
        self.views.append(view)

    def resync(self) -> None:
        self.resyncs += 1

    def last(self) -> dict[str, int]:
        if not self.views:
            return {}
        return {name: len(service.active) for name, service in self.views[-1].services.items()}


class World:
    """A loop, and all that it meets."""

    def __init__(self) -> None:
        self.records, self.drains = Followed[Snapshot](), Followed[Drains]()
        self.group = Offered()
        self.answers: dict[str, bool] = {}
        self.asked = threading.Event()
        self.loop = Loop(
            self.records,
            self.drains,
            Guard(GuardSettings()),
            [self.group],
            Roster(),
            ask=self.ask,
            resync_s=0.2,
            on_view=lambda: None,
            save=lambda: None,
        )

    def ask(self, instances: Mapping[str, Instance]) -> dict[str, bool]:
        self.asked.set()
        return {key: self.answers.get(key, False) for key in instances}

    def begin(self, *records: Instance, revision: int = 1) -> None:
        self.loop.start()
        self.drains.states.put(Drains())
        self.records.states.put(snapshot(revision, *records))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(loop_module, "PATIENCE_S", 0.3)
    monkeypatch.setattr(loop_module, "AGAIN_S", 0.05)
    world = World()
    yield world
    world.loop.stop()


def test_records_and_drains_reach_the_group_together(world: World) -> None:
    world.loop.start()
    world.records.states.put(snapshot(3, instance(), instance(ip="10.0.0.2")))
    world.drains.states.put(Drains(5, {"k": ("web", "10.0.0.2")}))
    wait_for(lambda: world.group.views)
    first = world.group.views[0]
    assert (first.revision, first.drains) == (3, 5)
    assert world.group.last() == {"web": 1}


def test_drains_that_cannot_be_read_are_waited_for_only_so_long(world: World) -> None:
    world.loop.start()
    world.drains.states.put(AccessDenied("not yours"))
    world.records.states.put(snapshot(3, instance()))
    wait_for(lambda: world.group.last() == {"web": 1})


def test_an_error_in_what_is_followed_does_not_end_it(world: World) -> None:
    world.begin(instance())
    wait_for(lambda: world.group.last() == {"web": 1})
    world.records.states.put(AccessDenied("no longer yours"))
    world.records.states.put(ZeroDivisionError("oops"))
    world.records.states.put(snapshot(2, instance(), instance("db")))
    wait_for(lambda: world.group.last() == {"web": 1, "db": 1})


def test_a_mass_loss_is_asked_after_and_who_answers_stays(world: World) -> None:
    six = [instance(ip=f"10.0.0.{n}") for n in range(1, 7)]
    world.answers = {"/services/web/10.0.0.1:80": True}
    world.begin(*six)
    wait_for(lambda: world.group.last() == {"web": 6})
    world.records.states.put(snapshot(2))
    wait_for(lambda: world.group.last() == {"web": 1})
    (server,) = world.group.views[-1].services["web"]
    assert server.stale
    assert world.loop.alarms == 1
    world.records.states.put(snapshot(3, six[1]))
    wait_for(lambda: world.group.last() == {"web": 2})


def test_what_is_remembered_is_used_when_etcd_is_away_at_the_start(world: World) -> None:
    """Its records, and what operators had drained."""
    records = snapshot(9, instance(), instance(ip="10.0.0.2"))
    world.loop.start(Remembered(records, Drains(5, {"k": ("web", "10.0.0.2")})))
    assert wait_for(world.group.last) == {"web": 1}
    assert world.group.views[0].revision == 9


def test_what_a_guard_kept_is_kept_by_the_next(world: World) -> None:
    kept = instance(ip="10.0.0.9")
    key = "/services/web/10.0.0.9:80"
    world.answers = {key: True}
    world.loop.start(Remembered(snapshot(9, instance()), Drains(), {key: kept}))
    world.drains.states.put(Drains())
    world.records.states.put(snapshot(10, instance()))
    wait_for(lambda: world.group.last() == {"web": 2})
    assert world.loop.known.held == {key: kept}


def test_a_directory_that_refuses_us_is_away_to_those_who_ask(world: World) -> None:
    world.begin(instance())
    wait_for(lambda: world.group.views)
    world.records.states.put(AccessDenied("no longer yours"))
    wait_for(lambda: world.loop.away == "no longer yours")
    world.records.states.put(snapshot(2, instance()))
    wait_for(lambda: world.loop.away is None)


def test_without_etcd_and_without_memory_nothing_is_published(world: World) -> None:
    world.loop.start()
    stays(lambda: not world.group.views, for_s=0.6)


def test_groups_are_asked_to_look_again_now_and_then(world: World) -> None:
    world.begin(instance())
    wait_for(lambda: world.group.resyncs >= 2)


def test_what_cannot_be_asked_is_asked_again(world: World, monkeypatch: Any) -> None:
    def broken(instances: Mapping[str, Instance]) -> dict[str, bool]:
        world.asked.set()
        raise OSError("no descriptors")

    world.loop._ask = broken
    world.begin(*(instance(ip=f"10.0.0.{n}") for n in range(1, 7)))
    wait_for(lambda: world.group.views)
    world.records.states.put(snapshot(2))
    assert world.asked.wait(5)
    stays(lambda: world.group.last() == {"web": 6}, for_s=0.2)
