"""Waits for machines to be where they are to be, and tells of each change.

Takes the group's turns meanwhile where no other scaler does.
"""

import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from secretary.core.errors import StoreUnavailable
from secretary.core.machine import MachineState, Stock
from secretary.core.scaling import ScaleGroup
from secretary.scaler.engine import Engine
from secretary.scaler.ports import Lock
from secretary.scaler.report import Report

TURN_S: Final = 1.0
GIVE_UP_S: Final = 60.0
"""How long beyond a boot or a drain it waits for something to change."""
_SETTLED: Final = (MachineState.SERVING, MachineState.FAILED)


class Watch:
    """`tell` is given a line for each change."""

    def __init__(
        self,
        group: ScaleGroup,
        engine: Engine,
        lock: Lock,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._tell = tell
        self._clock = clock
        self._longest_s = max(group.boot_timeout_s, group.drain_time_s) + GIVE_UP_S
        self._said: dict[str, str] = {}
        self._noted: set[str] = set()
        self._watched: set[str] = set()
        self._is_away = False

    def settle(self, ids: Collection[str], stop: threading.Event) -> bool:
        """Wait until each of them serves, has failed or is gone; say whether all is well.

        Set `stop` to end the waiting: what was wished for stays wished for, as it does while the
        directory is away.
        """
        self._watched = set(ids)
        said, said_s = dict(self._said), self._clock()
        while True:
            report = self._turn()
            if report is not None:
                self._tell_of(report)
                machines = report.stock.machines
                states = [machines[each][0].state for each in self._watched if each in machines]
                if all(state in _SETTLED for state in states):
                    return MachineState.FAILED not in states
            if said != self._said:
                said, said_s = dict(self._said), self._clock()
            elif self._clock() - said_s > self._longest_s:
                self._tell("nothing has changed for long: not waited for any more")
                return False
            if stop.wait(TURN_S if report is not None and report.is_held else 2 * TURN_S):
                return False

    def _turn(self) -> Report | None:
        """Take a turn; None while the directory does not answer."""
        try:
            report = self._engine.turn()
        except StoreUnavailable as error:
            if not self._is_away:
                self._tell(f"{error}; what was asked for stays asked for")
            self._is_away = True
            return None
        self._is_away = False
        return report

    def _tell_of(self, report: Report) -> None:
        if not report.is_held and "" not in self._said:
            self._said[""] = "-"
            self._tell(f"a scaler on {self._lock.holder()} does it")
        for alarm in report.alarms:
            if alarm not in self._noted and not _is_told(alarm, report.stock):
                self._tell(alarm)
        self._noted.update(report.alarms)
        for each in sorted(self._watched):
            words = _words(report.stock, each)
            if self._said.get(each) != words:
                self._said[each] = words
                self._tell(f"{each}: {words}")
        # Those that stand in for one that has failed are what is waited for then.
        for machine, _ in report.stock.machines.values():
            if machine.replaces in self._watched:
                self._watched.add(machine.id)
                self._watched.discard(machine.replaces)


def _is_told(alarm: str, stock: Stock) -> bool:
    """Whether the words of a machine say the same."""
    return any(
        alarm in (f"{machine.id}: {machine.reason}", f"{machine.id}: {machine.trouble}")
        for machine, _ in stock.machines.values()
    )


def _words(stock: Stock, id_: str) -> str:
    entry = stock.machines.get(id_)
    if entry is None:
        return "gone"
    machine, _ = entry
    return f"{machine.state.value}: {machine.words}" if machine.words else machine.state.value
