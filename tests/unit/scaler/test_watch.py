"""An operator's verb waits for machines, whatever becomes of the directory meanwhile."""

import threading
from collections.abc import Iterator
from typing import Any

from secretary.core.errors import StoreUnavailable
from secretary.core.machine import MachineState, Stock
from secretary.scaler.report import Report
from secretary.scaler.watch import Watch
from tests.unit.scaler.machines import group, machine

AWAY = StoreUnavailable("etcd a:2379: no answer in time")


class Turns:
    """In place of an engine and its lock: each turn comes to the next of these."""

    def __init__(self, *turns: Report | StoreUnavailable) -> None:
        self._turns: Iterator[Report | StoreUnavailable] = iter(turns)
        self._last: Report | StoreUnavailable | None = None

    def turn(self) -> Report:
        self._last = next(self._turns, self._last)
        if isinstance(self._last, Report):
            return self._last
        raise self._last or AWAY


class NoPause(threading.Event):
    """Never waits for the time to pass."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def found(state: MachineState) -> Report:
    return Report(Stock({"web-1": (machine(state=state), 7)}))


def settled(*turns: Report | StoreUnavailable) -> tuple[bool, list[str]]:
    """Return whether all was well, and what was told; a minute passes between two turns."""
    told: list[str] = []
    minutes = iter(range(100))
    engine: Any = Turns(*turns)
    lock: Any = None
    watch = Watch(group(), engine, lock, told.append, lambda: 60.0 * next(minutes))
    return watch.settle(["web-1"], NoPause()), told


def test_a_directory_that_is_away_for_a_moment_is_waited_for() -> None:
    """Who would ask once more has two of it: what was asked for stands."""
    booting, serving = found(MachineState.BOOTING), found(MachineState.SERVING)
    assert settled(booting, AWAY, AWAY, serving) == (
        True,
        ["web-1: booting", f"{AWAY}; what was asked for stays asked for", "web-1: serving"],
    )


def test_a_directory_that_stays_away_is_not_waited_for_for_ever() -> None:
    well, told = settled(found(MachineState.BOOTING), AWAY)
    assert not well
    assert told[-1] == "nothing has changed for long: not waited for any more"
