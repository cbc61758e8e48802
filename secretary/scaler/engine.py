"""One group's machines, brought one step on with each turn, as `lifecycle` has it.

Acts only while it holds the group's lock, and writes down what it is about to do before it does
it. What the inventory, the provider and the directory say is read anew at each turn: whatever
ended the turn before, at whatever point, the next one goes on from there.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Final, TypeAlias

from msgspec.structs import replace

from secretary.core.errors import CloudError
from secretary.core.machine import Machine, MachineState, Stock
from secretary.core.scaling import ScaleGroup
from secretary.scaler import census, lifecycle
from secretary.scaler.calls import Calls
from secretary.scaler.changes import became, begun, failed, placed, refused
from secretary.scaler.known import Known
from secretary.scaler.lifecycle import (
    Ask,
    Become,
    Delete,
    Drain,
    Fail,
    Forget,
    Keep,
    Sight,
    Step,
)
from secretary.scaler.missed import Missed
from secretary.scaler.ports import Inventory, Lock, Provider, Seen, Standing, Turns
from secretary.scaler.report import Report
from secretary.scaler.wishes import wished

_log = logging.getLogger(__name__)

_ELSEWHERE: Final = (
    "none of its machines is at this provider: is it another account, region or host?"
)
MOST_AT_ONCE: Final = 100
"""Machines in one wish: etcd takes 128 operations at once."""
Call: TypeAlias = tuple[Future[Seen] | Future[bool], Machine, int]
"""A call under way, for which machine, and the revision of that."""


class Engine:
    """Raises what the store raises; a provider's trouble is in the report."""

    def __init__(
        self,
        group: ScaleGroup,
        lock: Lock,
        inventory: Inventory,
        turns: Turns,
        provider: Provider,
        now: Callable[[], datetime],
        names: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        self._lock = lock
        self._inventory = inventory
        self._turns = turns
        self._provider = provider
        self._now = now
        self._names = names
        self._calls = Calls(provider, group.name, clock)
        self._known = Known(clock)
        self._missed = Missed(clock)
        self._alarms: list[str] = []
        self._failures = 0
        self._meanwhile: Callable[[], None] = lambda: None

    def hold(self) -> bool:
        """Take the lock or keep it; say whether it is ours."""
        return self._lock.hold(self._now().isoformat(timespec="seconds"))

    def turn(self, meanwhile: Callable[[], None] = lambda: None) -> Report:
        """Bring each machine one step on, if the lock is ours.

        `meanwhile` is called now and then while calls of the provider are under way.
        """
        self._alarms, self._failures = [], 0
        self._meanwhile = meanwhile
        if not self.hold():
            return Report(self._inventory.stock(), is_held=False)
        stock = self._inventory.stock()
        known = self._known.look(stock)
        rotation = self._missed.look(self._turns.look())
        if not self._calls.may_be_made:
            return Report(stock, [self._calls.trouble])
        try:
            machines = self._provider.machines()
        except CloudError as error:
            self._calls.failed(error)
            return Report(stock, [str(error)])
        self._calls.answered()
        if not self.hold():
            return Report(stock, ["the lock was lost while the provider was asked"])
        found = census.listed(self._group, stock, machines, rotation)
        self._alarms += found.alarms
        for double in found.doubles:
            self._calls.delete(double.provider_id)
        if self._take_in(stock, found.strays[:MOST_AT_ONCE]):
            stock = self._inventory.stock()
        if not found.seen and census.is_elsewhere(stock, rotation):
            self._alarms.append(_ELSEWHERE)
            return Report(stock, self._alarms)
        sights = census.sights(stock, found.seen, rotation, self._now(), known)
        calls: list[Call] = []
        for sight, revision in sights:
            step = self._next(sight, sights)
            if isinstance(step, Ask | Delete):
                calls += self._call(step, sight, revision)
            else:
                self._do(step, sight, revision, stock)
        self._finish(calls)
        self._alarms += stock.rejected.values()
        return Report(self._inventory.stock(), self._alarms, strangers=len(found.strangers))

    def has_changed(self, last: Stock) -> bool:
        """Whether the inventory is another than `last`. Asks no provider."""
        return self._inventory.stock().machines != last.machines

    def look(self) -> Report:
        """Return what a turn would find and do, and do nothing. Needs no lock."""
        self._alarms = []
        stock, rotation = self._inventory.stock(), self._turns.look()
        found = census.listed(self._group, stock, self._provider.machines(), rotation)
        self._alarms += found.alarms
        sights = census.sights(stock, found.seen, rotation, self._now(), {})
        steps = [(sight.machine, self._next(sight, sights)) for sight, _ in sights]
        self._alarms += stock.rejected.values()
        return Report(stock, self._alarms, steps, strangers=len(found.strangers))

    def close(self) -> None:
        """Wait for the calls under way, let the lock go."""
        self._calls.close()
        self._lock.release()

    def _take_in(self, stock: Stock, strays: Sequence[Seen]) -> bool:
        """Take machines that serve here into an inventory that has lost them."""
        for stray in strays:
            _log.warning("%s: carries the tag and was in no inventory: taken in", stray.name)
        taken = [(census.taken_in(self._group, each, self._now()), 0) for each in strays]
        return bool(taken) and self._inventory.wish(stock, *taken)

    def _next(self, sight: Sight, sights: Sequence[tuple[Sight, int]]) -> Step:
        step, alarm = census.next_step(self._group, sight, [each for each, _ in sights])
        if alarm is not None:
            self._alarms.append(alarm)
        return step

    def _do(self, step: Step, sight: Sight, revision: int, stock: Stock) -> None:
        machine = sight.machine
        match step:
            case Become():
                self._write(became(machine, step, self._now()), revision)
            case Fail(reason):
                self._fail(sight, revision, reason, stock)
            case Drain(endpoint):
                # Whatever became of a drain before: this one is to be acknowledged anew.
                draining = begun(machine, self._now())
                if self._inventory.change(draining, revision) is not None:
                    self._known.wrote(draining)
                    _log.info("%s: out of rotation: %s", machine.id, machine.reason)
                    self._turns.drain(endpoint)
            case Keep(endpoint) if endpoint is not None:
                if not self._turns.undrain(endpoint):
                    self._alarms.append(f"{machine.id}: an operator's drain keeps it out")
            case Forget(reason) if self._is_gone(machine, stock):
                # A key that we have not set, or that keeps another out by now, is not ours.
                ours = machine.state in (MachineState.DRAINING, MachineState.DELETING)
                at = machine.endpoint if ours else None
                drain = self._turns.drain_key(at) if at is not None else None
                if self._inventory.remove(machine, revision, drain=drain):
                    _log.info("%s: out of the inventory: %s", machine.id, reason)

    def _is_gone(self, machine: Machine, stock: Stock) -> bool:
        """Whether the provider has it no more: lists of several pages may skip one.

        One that has lost its tag gets it back, so that it is listed again.
        """
        name = machine.id if machine.asked is not None else None
        id_ = machine.provider_id or name  # what a lost request has made late has our name
        if id_ is None:
            return True
        if (refusal := self._calls.refusal(machine.id)) is not None:
            self._alarms.append(f"{machine.id}: {refusal}")
            return False
        if not self._calls.may_be_made:
            return False
        try:
            found = self._calls.ask(self._provider.find, id_, self._keep)
            if found is None or census.is_another_s(stock, machine, found.provider_id):
                self._calls.answered(machine.id)
                return True
            if machine.state is MachineState.DELETING or census.is_ended(machine):
                self._calls.ask(self._provider.delete, found.provider_id, self._keep)
                return False
            self._calls.ask(self._provider.tag, found.provider_id, self._keep)
            self._alarms.append(f"{machine.id}: had lost the group's tag, and has it again")
        except CloudError as error:
            self._alarms.append(f"{machine.id}: {error}")
            self._calls.failed(error, machine.id)
        return False

    def _fail(self, sight: Sight, revision: int, reason: str, stock: Stock) -> None:
        """Replace a machine that does not serve, if that was not done too often of late."""
        machine, now = sight.machine, self._now()
        if machine.adopted and sight.seen is not None:
            self._write(failed(machine, reason, now), revision)
            return
        may_work = sight.seen is not None and sight.seen.standing is not Standing.BROKEN
        others = (each for each, _ in stock.machines.values() if each.id != machine.id)
        if may_work and (self._failures or any(map(census.is_replacing, others))):
            # The fault may be elsewhere: one at a time, and see what comes of it.
            self._alarms.append(f"{machine.id}: {reason}; another is being replaced")
            return
        of_late = self._failures + sum(
            census.is_ended(each) and now - each.since < lifecycle.REMEMBER
            for each, _ in stock.machines.values()
        )
        why = f"in place of {machine.id}"
        another = wished(self._group, self._names(), now, why, replaces=machine.id)
        if of_late < self._group.max_replacements:
            self._failures += 1
            self._write(failed(machine, reason, now), revision, adds=[another])
            return
        if sight.seen is None:
            self._write(failed(machine, reason, now), revision)
        self._alarms.append(
            f"{machine.id}: {reason}; not replaced: {of_late} were within the hour, and"
            f" max-replacements is {self._group.max_replacements}"
        )

    def _call(self, step: Ask | Delete, sight: Sight, revision: int) -> list[Call]:
        """Begin a call of the provider, when the inventory knows of it."""
        machine = sight.machine
        if (refusal := self._calls.refusal(machine.id)) is not None:
            self._alarms.append(f"{machine.id}: {refusal}")
            return []
        if not self._calls.may_be_made:
            return []
        if isinstance(step, Delete):
            return [(self._calls.delete(step.provider_id), machine, revision)]
        asked = replace(machine, asked=self._now())
        written = self._inventory.change(asked, revision)
        if written is None:
            return []
        self._known.wrote(asked)
        _log.info("%s: asking %s for it", machine.id, machine.provider)
        return [(self._calls.create(machine.id), asked, written)]

    def _keep(self) -> None:
        """Keep the lock while calls are under way."""
        self.hold()
        self._meanwhile()

    def _finish(self, calls: Sequence[Call]) -> None:
        """Write down what became of the calls."""
        self._calls.finish({call for call, _, _ in calls}, self._keep)
        for call, machine, revision in calls:
            try:
                answer = call.result()
            except CloudError as error:
                self._alarms.append(f"{machine.id}: {error}")
                self._calls.failed(error, machine.id)
                if (after := refused(machine, error, self._now())) != machine:
                    self._write(after, revision)
            else:
                self._calls.answered(machine.id)
                if isinstance(answer, Seen):
                    self._made(machine, answer, revision)
                elif machine.trouble:
                    self._write(replace(machine, trouble=""), revision)

    def _made(self, machine: Machine, seen: Seen, revision: int) -> None:
        """Write down a machine that there is now, also if somebody wants it gone meanwhile."""
        booting = Become(MachineState.BOOTING, seen=seen)
        if self._write(became(machine, booting, self._now()), revision):
            return
        entry = self._inventory.stock().machines.get(machine.id)
        if entry is not None:
            self._write(placed(entry[0], seen), entry[1])

    def _write(self, machine: Machine, revision: int, *, adds: Sequence[Machine] = ()) -> bool:
        if self._inventory.change(machine, revision, adds=adds) is None:
            return False
        self._known.wrote(machine)
        words = f": {machine.words}" if machine.words else ""
        _log.info("%s: %s%s", machine.id, machine.state.value, words)
        return True
