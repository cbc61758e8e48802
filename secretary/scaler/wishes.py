"""What may be wished for: machines to come, and machines to go. Pure; refuses with one line."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from secretary.core.errors import ScaleError
from secretary.core.instance import NAME_PATTERN
from secretary.core.machine import Machine, MachineState, Stock
from secretary.core.scaling import Choice, ScaleGroup

ALIVE: Final = (MachineState.REQUESTED, MachineState.BOOTING, MachineState.SERVING)
"""The states that count: of a machine that serves, or is to."""


def is_name(name: str) -> bool:
    """Whether a machine of this name can be in the inventory."""
    return re.match(NAME_PATTERN, name) is not None


def is_ours(group: ScaleGroup, name: str) -> bool:
    """Whether a machine of this name was made for the group."""
    return re.fullmatch(re.escape(prefix(group)) + "-[0-9a-f]{8}", name) is not None


def prefix(group: ScaleGroup) -> str:
    """Return what the names of its machines begin with."""
    return group.name_prefix or group.name


def alive(stock: Stock) -> list[Machine]:
    """Return the machines that serve, or are to, the oldest first."""
    machines = (machine for machine, _ in stock.machines.values())
    return sorted((each for each in machines if each.state in ALIVE), key=lambda m: m.turn)


def wished(
    group: ScaleGroup, name: str, now: datetime, reason: str = "", replaces: str | None = None
) -> Machine:
    """Return a machine that is wanted, under a name that no other has."""
    return Machine(
        id=name,
        group=group.name,
        provider=group.provider.value,
        state=MachineState.REQUESTED,
        requested=now,
        since=now,
        reason=reason,
        replaces=replaces,
    )


def more(
    group: ScaleGroup, stock: Stock, names: Sequence[str], now: datetime, reason: str
) -> list[Machine]:
    """Return machines to be added, of these names. ScaleError beyond the group's maximum.

    An entry that cannot be read may be of a machine that serves.
    """
    there = len(alive(stock)) + len(stock.rejected)
    if there + len(names) > group.max:
        raise ScaleError(
            f"{group.name}: {len(names)} more than the {there} that it has are beyond its max of"
            f" {group.max}"
        )
    return [wished(group, name, now, reason) for name in names]


def fewer(
    group: ScaleGroup,
    stock: Stock,
    number: int,
    now: datetime,
    reason: str,
    turning: Collection[str],
    load: Mapping[str, float],
    *,
    to_none: bool = False,
) -> list[tuple[Machine, int]]:
    """Return the machines that are to go, with their revisions. ScaleError below the minimum.

    Those that do not serve go first; of the others as the group has chosen. What was adopted goes
    only when it is named, or with all. `turning` are the ids of those in rotation, `load` is by
    id. `to_none` is for the last in rotation, too.
    """
    if stock.rejected:
        first = min(stock.rejected.values())
        raise ScaleError(f"{group.name}: none is chosen while this stands: {first}")
    there = [machine for machine in alive(stock) if to_none or not machine.adopted]
    if len(there) < min(number, len(alive(stock))):
        raise ScaleError(
            f"{group.name}: has no machine that could go, but those that were adopted: secretary"
            f" scale down {group.name} MACHINE"
        )
    candidates = sorted(there, key=lambda machine: _rank(group, machine, load))
    return leaving(group, stock, candidates[:number], now, reason, turning, to_none=to_none)


def leaving(
    group: ScaleGroup,
    stock: Stock,
    chosen: Sequence[Machine],
    now: datetime,
    reason: str,
    turning: Collection[str],
    *,
    to_none: bool = False,
) -> list[tuple[Machine, int]]:
    """Return these machines as they are to be, with their revisions. ScaleError if they must stay.

    Never below the minimum, and never the last in rotation, unless none is asked for.
    """
    for machine in chosen:
        if machine.provider != group.provider.value:
            raise ScaleError(
                f"{machine.id}: is {machine.provider}'s, and the provider of {group.name} is"
                f" {group.provider.value}: set that back, or forget the machine"
            )
    there = alive(stock)
    going = {machine.id for machine in chosen}
    rest = [machine for machine in there if machine.id not in going]
    if len(rest) < group.min and len(rest) < len(there):
        raise ScaleError(
            f"{group.name}: {len(there) - len(rest)} fewer than the {len(there)} that it has are"
            f" below its min of {group.min}"
        )
    left = any(machine.id in turning for machine in rest)
    if not to_none and not left and any(m.id in turning for m in chosen):
        raise ScaleError(f"{group.name}: no machine that serves would be left")
    return [
        (
            replace(
                machine,
                state=MachineState.DRAINING,
                since=now,
                reason=reason,
                may_be_last=to_none,
            ),
            stock.machines[machine.id][1],
        )
        for machine in chosen
    ]


def _rank(group: ScaleGroup, machine: Machine, load: Mapping[str, float]) -> tuple[object, ...]:
    serves = machine.state is MachineState.SERVING
    by_load = group.first is Choice.LEAST_LOADED and serves
    is_other_s = machine.provider != group.provider.value  # nobody here can delete it
    least = load.get(machine.id, math.inf) if by_load else 0.0
    return is_other_s, serves, math.inf if math.isnan(least) else least, machine.turn
