"""What inventory, provider and directory know of a group's machines, brought together. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from secretary.core.machine import MACHINES, Machine, MachineState, Stock
from secretary.core.rotation import Rotation, Word
from secretary.core.scaling import ScaleGroup
from secretary.scaler import lifecycle
from secretary.scaler.changes import found
from secretary.scaler.lifecycle import Keep, Sight, Stay, Step
from secretary.scaler.ports import Seen, Standing
from secretary.scaler.wishes import ALIVE, is_name, is_ours, wished


@dataclass(frozen=True, slots=True)
class Listed:
    """What the provider's list comes to: the machines by their ids here, and what is wrong with it.

    Of two with one name one is a double. A stray is in no inventory, and serves here; a stranger
    neither.
    """

    seen: Mapping[str, Seen]
    doubles: Sequence[Seen]
    strays: Sequence[Seen]
    strangers: Sequence[Seen]
    alarms: Sequence[str]


def listed(group: ScaleGroup, stock: Stock, machines: Sequence[Seen], rotation: Rotation) -> Listed:
    """Hold the provider's list against the inventory."""
    # A machine may get another name at the provider: its id is what it is known by.
    ours = _holders(stock)
    seen = {ours[each.provider_id]: each for each in machines if each.provider_id in ours}
    doubles, alarms = [], []
    for each in sorted(machines, key=lambda seen: (seen.created, seen.provider_id)):
        if each.provider_id in ours:
            continue
        if not is_name(each.name):
            alarms.append(
                f"machine {each.provider_id} carries the group's tag, and {each.name!r} is no"
                " name for the inventory: rename it, or take the tag off"
            )
            continue
        first = seen.setdefault(each.name, each)
        if first is each:
            continue
        if _is_double(stock, first, each):
            alarms.append(f"{each.name}: made twice, {each.provider_id} is deleted")
            doubles.append(each)
        else:
            alarms.append(
                f"machine {each.provider_id} carries the group's tag, and the name {each.name} is"
                f" that of {first.provider_id}: rename it, or take the tag off"
            )
    strays: list[Seen] = []
    strangers = []
    room = group.max - sum(machine.state in ALIVE for machine, _ in stock.machines.values())
    for name, each in seen.items():
        if name in stock.machines or f"{MACHINES}/{group.name}/{name}" in stock.rejected:
            continue
        if each.provider_id in stock.forgotten.values():
            continue  # the list lags behind, or its tag has come back
        if rotation.word(each.address, each.port) is not Word.ABSENT:
            if len(strays) < room:
                strays.append(each)
            else:
                alarms.append(
                    f"{name}: carries the group's tag, and would be one more than max: delete it,"
                    " or take the tag off"
                )
            continue
        strangers.append(each)
        alarms.append(
            f"{name}: carries the group's tag, and neither an inventory nor a record here knows"
            " it: adopt it, delete it, or take the tag off"
        )
    return Listed(seen, doubles, strays, strangers, alarms)


def _is_double(stock: Stock, first: Seen, other: Seen) -> bool:
    """Whether one request has made both, and not a person the other one by hand."""
    machine, _ = stock.machines.get(other.name, (None, 0))
    if machine is None or machine.found or machine.adopted or machine.asked is None:
        return False
    return first.name == other.name and abs(other.created - first.created) < lifecycle.SETTLE


def is_another_s(stock: Stock, machine: Machine, provider_id: str) -> bool:
    """Whether another entry has this machine at the provider: it is not to be touched for this one.

    An inventory of before machines were known by their ids may have two of one that was renamed.
    """
    return _holders(stock).get(provider_id, machine.id) != machine.id


def _holders(stock: Stock) -> dict[str, str]:
    """Return whose each of the provider's ids is; of two that claim it, of the one in service."""
    machines = (machine for machine, _ in stock.machines.values())
    order = sorted(
        machines, key=lambda m: (m.state is MachineState.SERVING, m.state in ALIVE, *m.turn)
    )
    return {each.provider_id: each.id for each in order if each.provider_id is not None}


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
    all_ = []
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
        all_.append((sight, revision))
    return all_


def next_step(group: ScaleGroup, sight: Sight, others: Sequence[Sight]) -> tuple[Step, str | None]:
    """Return what is to be done with a machine among the others, and an alarm, if any."""
    machine = sight.machine
    if machine.provider != group.provider.value:
        return Stay(), f"{machine.id}: is {machine.provider}'s, and not this group's"
    if machine.state is MachineState.DRAINING and (sight.is_draining or not sight.is_moved):
        if not _may_go(sight, others):
            stays = Keep(machine.endpoint) if sight.is_draining else Stay()
            return stays, f"{machine.id}: stays for now: no other machine serves"
        if not sight.is_draining and sight.seen is not None and _waits(group, sight, others):
            return Stay(), None
    if machine.is_left:
        alarm = f"{machine.id}: {machine.reason}; it was adopted, and is left as it is"
        return lifecycle.step(sight, group), alarm
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


def taken_in(group: ScaleGroup, stray: Seen, now: datetime) -> Machine:
    """Return the entry of a machine that the inventory has lost."""
    news = wished(group, stray.name, now, "found by its tag")
    return found(news, stray, adopted=not is_ours(group, stray.name))


def is_ended(machine: Machine) -> bool:
    """Whether it has failed, and is deleted for that."""
    return machine.state is MachineState.FAILED and not machine.adopted


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
