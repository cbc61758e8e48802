"""For how long a process has known each machine as it is, by a clock that nobody can set.

Ages by the wall's clock alone would let a timeout pass in the moment in which the clock is set.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

from secretary.core.machine import Machine, MachineState, Stock

_Marks: TypeAlias = tuple[MachineState, datetime, datetime | None, datetime | None]


class Known:
    """Of one group's machines. A process that begins anew has known none."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first_s: dict[str, tuple[_Marks, float]] = {}

    def wrote(self, machine: Machine) -> None:
        """Note that we have made it what it is."""
        self._note(machine, self._first_s)

    def look(self, stock: Stock) -> dict[str, timedelta]:
        """Return the times by id, after a look that has found this."""
        before, self._first_s = self._first_s, {}
        for machine, _ in stock.machines.values():
            self._note(machine, before)
        now_s = self._clock()
        return {id_: timedelta(seconds=now_s - at_s) for id_, (_, at_s) in self._first_s.items()}

    def _note(self, machine: Machine, before: Mapping[str, tuple[_Marks, float]]) -> None:
        marks = _marks(machine)
        known = before.get(machine.id)
        at_s = known[1] if known is not None and known[0] == marks else self._clock()
        self._first_s[machine.id] = marks, at_s


def _marks(machine: Machine) -> _Marks:
    return machine.state, machine.since, machine.asked, machine.drained
