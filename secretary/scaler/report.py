"""What a turn of a group comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from secretary.core.machine import Machine, Stock
from secretary.scaler.lifecycle import Step


@dataclass(frozen=True, slots=True)
class Report:
    """What a turn found: the machines after it, and what is amiss.

    `is_held` is whether the lock was ours; nothing was done otherwise.
    """

    stock: Stock = field(default_factory=Stock)
    alarms: Sequence[str] = ()
    steps: Sequence[tuple[Machine, Step]] = ()
    """What was to be done next for each machine, before it was done."""
    is_held: bool = True
    strangers: int = 0
    """Machines with the group's tag that no inventory knows, and that have no record here."""
