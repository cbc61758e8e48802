"""What inventory, provider and directory know of a group's machines, brought together. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from secretary.core.machine import MACHINES, Machine, MachineState, Stock
from secretary.core.rotation import Rotation, Word
from secretary.core.scaling import ScaleGroup
from secretary.scaler import lifecycle
from secretary.scaler.lifecycle import Keep, Sight, Stay, Step
from secretary.scaler.ports import Seen, Standing
from secretary.scaler.wishes import is_name


@dataclass(frozen=True, slots=True)
class Listed:
    """What the provider's list comes to: the machines by name, and what is wrong with it.

    Of two with one name one is a double. A stray is in no inventory, and serves here.
    """

    seen: Mapping[str, Seen]
    doubles: Sequence[Seen]
    strays: Sequence[Seen]
    alarms: Sequence[str]


def listed(group: ScaleGroup, stock: Stock, machines: Sequence[Seen], rotation: Rotation) -> Listed:
    """Hold the provider's list against the inventory."""
    seen: dict[str, Seen] = {}
    doubles, alarms = [], []
    for each in sorted(machines, key=lambda seen: (seen.created, seen.provider_id)):
        if not is_name(each.name):
            alarms.append(
                f"machine {each.provider_id} carries the group's tag, and {each.name!r} is no"
                " name for the inventory: rename it, or take the tag off"
            )
            continue
        first = seen.setdefault(each.name, each)
        if first is each:
            continue
        machine, _ = stock.machines.get(each.name, (None, 0))
        if machine is not None and machine.provider_id == each.provider_id:
            seen[each.name], each = each, first
        if machine is not None and not machine.adopted and machine.asked is not None:
            alarms.append(f"{each.name}: made twice, {each.provider_id} is deleted")
            doubles.append(each)
    strays = []
    for name, each in seen.items():
        if name in stock.machines or f"{MACHINES}/{group.name}/{name}" in stock.rejected:
            continue
        if stock.forgotten.get(name) == each.provider_id:
            continue  # the list lags behind, or its tag has come back
        if rotation.word(each.address, each.port) is not Word.ABSENT:
            strays.append(each)
            continue
        alarms.append(
            f"{name}: carries the group's tag, and neither an inventory nor a record here knows"
            " it: adopt it, delete it, or take the tag off"
        )
    return Listed(seen, doubles, strays, alarms)


def sights(
    stock: Stock,
    seen: Mapping[str, Seen],
    rotation: Rotation,
    now: datetime,
    known: Mapping[str, timedelta],
) -> list[tuple[Sight, int]]:
    """Return what is known of each machine, with the revision of its entry.

    `known` says for how long, by id.
    """
    holders = {(each.address, each.port): name for name, each in seen.items()}
    found = []
    for machine, revision in stock.machines.values():
        at = (machine.address, machine.port)
        endpoint = machine.endpoint
        is_seen = machine.id in seen
        is_succeeded = endpoint is not None and holders.get(at, machine.id) != machine.id
        word = rotation.word(*at, stock.own_since(machine))
        sight = Sight(
            machine,
            seen.get(machine.id),
            Word.ABSENT if is_succeeded and not is_seen else word,  # it is the other's record
            is_draining=endpoint in rotation.drains,
            is_drained=endpoint is not None and rotation.is_drained(endpoint),
            is_succeeded=is_succeeded,
            now=now,
            known=known.get(machine.id),
        )
        found.append((sight, revision))
    return found


def next_step(group: ScaleGroup, sight: Sight, others: Sequence[Sight]) -> tuple[Step, str | None]:
    """Return what is to be done with a machine among the others, and an alarm, if any."""
    machine = sight.machine
    if machine.provider != group.provider.value:
        return Stay(), f"{machine.id}: is {machine.provider}'s, and not this group's"
    if machine.state is MachineState.DRAINING:
        if not _may_go(sight, others):
            stays = Keep(machine.endpoint) if sight.is_draining else Stay()
            return stays, f"{machine.id}: stays for now: no other machine serves"
        if not sight.is_draining and sight.seen is not None and _waits(group, sight, others):
            return Stay(), None
    return lifecycle.step(sight, group), _held_up(sight)


def is_elsewhere(stock: Stock, rotation: Rotation) -> bool:
    """Whether a machine of the inventory says that it lives, while no list shows any."""
    listed = (MachineState.BOOTING, MachineState.SERVING)
    return any(
        machine.state in listed
        and machine.provider_id is not None
        and rotation.word(machine.address, machine.port, stock.own_since(machine))
        is not Word.ABSENT
        for machine, _ in stock.machines.values()
    )


def is_replacing(machine: Machine) -> bool:
    """Whether it is to take another's place, and is not in service yet."""
    coming = (MachineState.REQUESTED, MachineState.BOOTING)
    return machine.state in coming and machine.replaces is not None


def _may_go(sight: Sight, others: Sequence[Sight]) -> bool:
    """Whether another machine serves, or this one does not."""
    if sight.word is Word.ABSENT or sight.machine.may_be_last:
        return True
    return any(
        other.machine.id != sight.machine.id
        and other.seen is not None
        and other.seen.standing is not Standing.BROKEN
        and other.machine.state is MachineState.SERVING
        and other.word in (Word.APPLIED, Word.PENDING)
        for other in others
    )


def _waits(group: ScaleGroup, sight: Sight, others: Sequence[Sight]) -> bool:
    """Whether it goes on serving until its turn to leave comes."""
    leaving, before = 0, 0
    for other in others:
        machine = other.machine
        if machine.state is MachineState.DELETING or (
            machine.state is MachineState.DRAINING and other.is_draining
        ):
            leaving += 1
        elif machine.state is MachineState.DRAINING:
            mine = (sight.machine.since, sight.machine.id)
            before += (machine.since, machine.id) < mine
    return leaving + before >= group.max_unavailable


def _held_up(sight: Sight) -> str | None:
    """Tell of a drain that a renderer does not apply: the machine is not deleted before."""
    machine = sight.machine
    waits = machine.state is MachineState.DRAINING and sight.is_draining
    if not waits or machine.drained is not None or sight.is_drained:
        return None
    if sight.age < lifecycle.SETTLE:
        return None
    return (
        f"{machine.id}: its drain is not applied by every renderer after"
        f" {sight.age.total_seconds():.0f} s: it is not deleted before"
    )
