"""A machine's life: what is to be done next, from what is known. Decides, and touches nothing.

    requested -> booting -> serving -> draining -> deleting -> (gone)
         `---------+-----------+---> failed -> (gone after an hour)

The provider is asked for a machine once, and only after the inventory says so: whatever it was
that became of the call, the machine is found by its name, or it does not exist.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from secretary.core.machine import Machine, MachineState
from secretary.core.rotation import Word
from secretary.core.scaling import ScaleGroup
from secretary.scaler.ports import Seen, Standing

SETTLE: Final = timedelta(seconds=60)
"""After so long a call whose answer was lost is believed to have done nothing, and a machine that
no list shows to be gone: the lists of clouds lag behind."""
REMEMBER: Final = timedelta(hours=1)
"""How long a failure is kept, and counted."""
PATIENCE: Final = timedelta(minutes=10)
"""How long a record that outlives its machine is kept out of rotation."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing to do."""

    def __str__(self) -> str:
        return "nothing to do now"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the provider for the machine."""

    def __str__(self) -> str:
        return "ask the provider for it"


@dataclass(frozen=True, slots=True)
class Become:
    """Another state, or the same with more known of it."""

    state: MachineState
    reason: str = ""
    seen: Seen | None = None
    drained: bool = False

    def __str__(self) -> str:
        return f"becomes {self.state.value}"


@dataclass(frozen=True, slots=True)
class Fail:
    """It will not come into service: another is to take its place, if that is still allowed."""

    reason: str

    def __str__(self) -> str:
        return f"replaced: {self.reason}"


@dataclass(frozen=True, slots=True)
class Drain:
    """Take it out of rotation."""

    endpoint: str

    def __str__(self) -> str:
        return "taken out of rotation"


@dataclass(frozen=True, slots=True)
class Keep:
    """Put it back into rotation, for now."""

    endpoint: str | None

    def __str__(self) -> str:
        return "back in rotation: no other machine serves"


@dataclass(frozen=True, slots=True)
class Delete:
    """Ask the provider for its end."""

    provider_id: str

    def __str__(self) -> str:
        return "deleted"


@dataclass(frozen=True, slots=True)
class Forget:
    """There is nothing left of it."""

    reason: str

    def __str__(self) -> str:
        return f"out of the inventory: {self.reason}"


Step: TypeAlias = Stay | Ask | Become | Fail | Drain | Keep | Delete | Forget


@dataclass(frozen=True, slots=True)
class Sight:
    """One machine as it is known at one moment; `seen` is None when no list shows it."""

    machine: Machine
    seen: Seen | None
    word: Word
    is_draining: bool
    """Whether the drain's key stands."""
    is_drained: bool
    """Whether every live renderer has applied it."""
    is_succeeded: bool
    """Whether another machine has its address by now."""
    now: datetime
    known: timedelta | None = None
    """For how long it has been known as it is, by a clock that nobody can set; None where the
    wall's clock is believed."""

    @property
    def age(self) -> timedelta:
        """Time in the state."""
        return self.passed(self.machine.since)

    def passed(self, moment: datetime) -> timedelta:
        """Return the time since a moment of its entry, and no more than it has been known so.

        The wall's clock may jump: nothing is to be replaced or deleted by that.
        """
        passed = self.now - moment
        if self.known is None:
            return passed
        return min(passed, self.known) if passed >= timedelta(0) else self.known

    @property
    def is_moved(self) -> bool:
        """Whether it is at another address than the one that was known."""
        if self.seen is None or self.seen.address is None:
            return False
        return (self.seen.address, self.seen.port) != (self.machine.address, self.machine.port)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and what is said of its address is another's by now."""
        return self.is_succeeded and (self.seen is None or self.seen.address is None)

    @property
    def is_settled(self) -> bool:
        """Whether lists have had their time to show it; after a jump the provider is asked too."""
        return self.now - self.machine.since >= SETTLE


def step(sight: Sight, group: ScaleGroup) -> Step:
    """Return what is to be done next for this machine."""
    return _STEPS[sight.machine.state](sight, group)


def _requested(sight: Sight, _: ScaleGroup) -> Step:
    if sight.seen is not None:
        return Become(MachineState.BOOTING, seen=sight.seen)
    if sight.machine.asked is None:
        return Ask()
    if sight.passed(sight.machine.asked) < SETTLE:
        return Stay()
    return Fail("the provider did not answer, and has no such machine")


def _booting(sight: Sight, group: ScaleGroup) -> Step:
    if (gone := _gone(sight)) is not None:
        return gone
    if sight.word in (Word.APPLIED, Word.DRAINED):
        return Become(MachineState.SERVING, seen=sight.seen)
    if sight.age >= timedelta(seconds=group.boot_timeout_s):
        if sight.word is Word.ABSENT:
            return Fail(
                f"not in service after {group.boot_timeout_s:g} s: it has no record: does its"
                " secretary run, and reach etcd?"
            )
        # Not its own fault, and others send it requests.
        return _known(sight, "not every renderer has applied its record")
    return _known(sight, sight.machine.reason)


def _serving(sight: Sight, _: ScaleGroup) -> Step:
    if (gone := _gone(sight)) is not None:
        return gone
    if sight.word is Word.ABSENT:
        return Become(MachineState.BOOTING, "its record is gone", sight.seen)
    return _known(sight, sight.machine.reason)


def _draining(sight: Sight, group: ScaleGroup) -> Step:
    machine = sight.machine
    if sight.seen is None:
        if not sight.is_settled:
            return Stay()
        if machine.provider_id is None and machine.asked is not None:
            # The request may be carried out late: it is deleted then.
            return Become(MachineState.FAILED, "its request had no answer, and was taken back")
        return Forget("deleted behind our back")
    if sight.is_moved and not sight.is_draining:
        return Become(MachineState.DRAINING, machine.reason, sight.seen)
    if machine.endpoint is None or sight.is_over:
        return Become(MachineState.DELETING, machine.reason)
    if not sight.is_draining:
        return Drain(machine.endpoint)
    if machine.drained is not None:
        if sight.passed(machine.drained) >= timedelta(seconds=group.drain_time_s):
            return Become(MachineState.DELETING, machine.reason)
    elif sight.is_drained:
        # Its address stays the one that was drained, whatever becomes of the machine.
        return Become(MachineState.DRAINING, machine.reason, drained=True)
    return Stay()


def _deleting(sight: Sight, _: ScaleGroup) -> Step:
    if sight.seen is not None:
        return Delete(sight.seen.provider_id)
    # A record that outlives its machine, until its lease ends, must stay out of rotation.
    is_over = sight.word is Word.ABSENT or sight.is_succeeded or sight.age >= PATIENCE
    return Forget("deleted") if is_over else Stay()


def _failed(sight: Sight, _: ScaleGroup) -> Step:
    if sight.machine.is_left:
        return _left_alone(sight)
    if sight.seen is not None:
        if sight.is_moved:
            return Become(MachineState.FAILED, sight.machine.reason, sight.seen)
        if sight.word is not Word.ABSENT and not sight.is_over:
            # It could not be deleted, and is in rotation again.
            return Become(MachineState.DRAINING, sight.machine.reason)
        return Delete(sight.seen.provider_id)
    # By the wall's clock: no verb runs for an hour.
    is_old = sight.now - sight.machine.since >= REMEMBER
    return Forget("failed an hour ago") if is_old else Stay()


def _left_alone(sight: Sight) -> Step:
    """Return what follows when it has failed, and is not ours to delete."""
    if sight.word in (Word.APPLIED, Word.DRAINED):
        return Become(MachineState.SERVING, seen=sight.seen)
    return Forget("deleted behind our back") if sight.seen is None and sight.is_settled else Stay()


def _gone(sight: Sight) -> Step | None:
    """Return what follows when it has ended by itself, or by somebody else's hand."""
    if sight.seen is None:
        # Its own secretary says that it lives: then it is the list that lacks it.
        lives = sight.word is not Word.ABSENT
        return Forget("deleted behind our back") if sight.is_settled and not lives else None
    # While its secretary says that it lives it is not broken, but perhaps resized or rebooted.
    if sight.seen.standing is Standing.BROKEN and sight.word is Word.ABSENT:
        return Fail(f"broken: {sight.seen.detail}" if sight.seen.detail else "broken")
    return None


def _known(sight: Sight, reason: str) -> Step:
    """Return what follows when its address or the reason has become known, or is another."""
    machine, seen = sight.machine, sight.seen
    is_there = seen is None or (seen.address, seen.port) == (machine.address, machine.port)
    if is_there and reason == machine.reason:
        return Stay()
    return Become(machine.state, reason, seen)


_STEPS: Final[Mapping[MachineState, Callable[[Sight, ScaleGroup], Step]]] = {
    MachineState.REQUESTED: _requested,
    MachineState.BOOTING: _booting,
    MachineState.SERVING: _serving,
    MachineState.DRAINING: _draining,
    MachineState.DELETING: _deleting,
    MachineState.FAILED: _failed,
}
