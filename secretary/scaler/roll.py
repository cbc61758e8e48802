"""A group's machines as people see them, and name them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from secretary.core.errors import ScaleError
from secretary.core.machine import Machine, Stock
from secretary.core.rotation import Rotation, Word
from secretary.core.scaling import ScaleGroup
from secretary.scaler import census
from secretary.scaler.ports import Seen

SHOWN: Final = 12
"""How much of an id is enough to name a machine by."""


@dataclass(frozen=True, slots=True)
class Row:
    """One machine, for people."""

    machine: Machine
    seen: Seen | None
    word: Word


@dataclass(frozen=True, slots=True)
class Listing:
    """A group's machines. `trouble` is why the provider could not be asked."""

    rows: Sequence[Row]
    rejected: Sequence[str]
    trouble: str | None = None


def rolled(stock: Stock, seen: Mapping[str, Seen], rotation: Rotation, now: datetime) -> list[Row]:
    """Return the machines, the oldest first."""
    sights = (sight for sight, _ in census.sights(stock, seen, rotation, now, {}))
    rows = (Row(sight.machine, sight.seen, sight.word) for sight in sights)
    return sorted(rows, key=lambda row: row.machine.turn)


def find(group: ScaleGroup, stock: Stock, which: str) -> Machine:
    """Return the machine of this id, its provider's or its number. ScaleError."""
    machines = _ordered(stock)
    for machine in machines:
        if which in (machine.id, machine.provider_id):
            return machine
    begun = [m for m in machines if m.provider_id is not None and m.provider_id.startswith(which)]
    if len(begun) == 1 and len(which) >= SHOWN:
        return begun[0]
    numbered = [machine for machine in machines if str(machine.number) == which]
    if len(numbered) == 1:
        return numbered[0]
    raise ScaleError(f"{which}: {group.name} has no such machine; secretary scale ls shows them")


def _ordered(stock: Stock) -> list[Machine]:
    machines = [machine for machine, _ in stock.machines.values()]
    return sorted(machines, key=lambda machine: machine.turn)
