"""What becomes of a machine's entry in the inventory. Pure."""

from datetime import datetime

from msgspec.structs import replace

from secretary.core.errors import CloudBusy, CloudError, CloudRefused
from secretary.core.machine import Machine, MachineState
from secretary.scaler.lifecycle import Become
from secretary.scaler.ports import Seen


def became(machine: Machine, step: Become, now: datetime) -> Machine:
    """Return the machine after a step."""
    # Why it was wanted is told until it serves.
    why = machine.reason if step.state is MachineState.BOOTING else ""
    changed = replace(machine, state=step.state, reason=step.reason or why, trouble="")
    if step.state is not machine.state:
        changed = replace(changed, since=now)
    if step.state is MachineState.SERVING:
        changed = replace(changed, replaces=None)
    if step.drained:
        changed = replace(changed, drained=now)
    return placed(changed, step.seen) if step.seen is not None else changed


def placed(machine: Machine, seen: Seen) -> Machine:
    """Return the machine with what the provider says of its place."""
    return replace(machine, provider_id=seen.provider_id, address=seen.address, port=seen.port)


def failed(machine: Machine, reason: str, now: datetime) -> Machine:
    """Return the machine after it has turned out that it will not serve."""
    return replace(machine, state=MachineState.FAILED, since=now, reason=reason, trouble="")


def refused(machine: Machine, error: CloudError, now: datetime) -> Machine:
    """Return the machine after a call that went wrong."""
    words = str(error)[:500]
    if machine.state is MachineState.REQUESTED:
        if isinstance(error, CloudRefused):
            return failed(machine, words, now)
        if isinstance(error, CloudBusy):
            return replace(machine, trouble=words, asked=None)
    return replace(machine, trouble=words)  # it may be there: its name will show it


def begun(machine: Machine, now: datetime) -> Machine:
    """Return the machine whose drain begins now."""
    return replace(machine, since=now, drained=None)


def found(machine: Machine, seen: Seen, *, adopted: bool) -> Machine:
    """Return a machine that is there already. `adopted`: only an operator may have it deleted."""
    booting = replace(
        machine,
        state=MachineState.BOOTING,
        asked=machine.requested,
        found=True,
        adopted=adopted,
    )
    return placed(booting, seen)
