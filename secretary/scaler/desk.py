"""What an operator asks of a group: who is there, more, fewer, this one in or out.

A wish is written into the inventory, which needs no lock. Whoever holds the lock carries it out:
a scaler that runs, and then this one watches; otherwise this one.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from secretary.core.errors import CloudError, ScaleError
from secretary.core.machine import Machine, MachineState, Stock
from secretary.core.rotation import Word
from secretary.core.scaling import Choice, ScaleGroup
from secretary.scaler import census, wishes
from secretary.scaler.changes import found
from secretary.scaler.engine import MOST_AT_ONCE, Engine
from secretary.scaler.ports import Inventory, Lock, Provider, Seen, Turns
from secretary.scaler.roll import Listing, find, rolled
from secretary.scaler.watch import Watch

LEAVING: Final = (MachineState.DRAINING, MachineState.DELETING)
TRIES: Final = 5
"""How often a wish is made anew when the inventory has changed under it."""


class Desk:
    """Raises ScaleError for a wish that cannot be, CloudError, and what the store raises."""

    def __init__(
        self,
        group: ScaleGroup,
        lock: Lock,
        inventory: Inventory,
        turns: Turns,
        provider: Provider,
        engine: Engine,
        now: Callable[[], datetime],
        names: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.group = group
        self._lock = lock
        self._inventory = inventory
        self._turns = turns
        self._provider = provider
        self._engine = engine
        self._now = now
        self._names = names
        self._clock = clock

    def act(self, flags: Sequence[str]) -> None:
        """See to it that we make the machines, if there are flags which only we know of."""
        self._needs_registrar()  # before the lock is ours
        if flags and not self._engine.hold():
            raise ScaleError(
                f"{', '.join(flags)}: {self.group.name} is in the hands of a scaler on"
                f" {self._lock.holder()}, which goes by its own settings: change them there, or"
                " leave the flags out"
            )

    def machines(self) -> Listing:
        """Return what there is, the oldest first."""
        stock, rotation = self._inventory.stock(), self._turns.look()
        trouble = None
        machines: Sequence[Seen] = ()
        try:
            machines = self._provider.machines()
        except CloudError as error:
            trouble = str(error)
        seen = census.listed(self.group, stock, machines, rotation).seen
        rows = rolled(stock, seen, rotation, self._now())
        return Listing(rows, list(stock.rejected.values()), trouble)

    def up(self, number: int, reason: str = "asked for") -> list[str]:
        """Wish for more machines; return their ids."""
        self._needs_registrar()

        if number > MOST_AT_ONCE:
            raise ScaleError(f"{self.group.name}: got {number}, allowed: {MOST_AT_ONCE} at once")

        group = self._limited()

        def wish(stock: Stock) -> list[tuple[Machine, int]]:
            names = [self._names() for _ in range(number)]
            news = wishes.more(group, stock, names, self._now(), reason)
            return [(machine, 0) for machine in news]

        return self._wish(wish)

    def down(self, which: str | None, number: int = 1, reason: str = "asked for") -> list[str]:
        """Wish that one goes: `which`, by its id, its provider's or its number, or the best."""
        load = self._load() if which is None else {}
        group, turning = self._limited(), self._turning()

        def wish(stock: Stock) -> list[tuple[Machine, int]]:
            if which is None:
                some = min(number, MOST_AT_ONCE)
                return wishes.fewer(group, stock, some, self._now(), reason, turning, load)
            machine = find(self.group, stock, which)
            if machine.state not in wishes.ALIVE and not machine.is_left:
                hint = ""
                if machine.state is MachineState.FAILED:
                    hint = "; secretary scale forget takes its entry out"
                raise ScaleError(f"{machine.id}: is {machine.state.value} already{hint}")
            return wishes.leaving(group, stock, [machine], self._now(), reason, turning)

        if going := self._wish(wish):
            return going
        raise ScaleError(f"{self.group.name}: has no machine that could go")

    def to(self, number: int) -> list[str]:
        """Wish for so many machines in all; return the ids of those that come or go.

        Where there are so many already, of those that are not in service yet.
        """
        group = self._limited()
        if not group.min <= number <= group.max:
            raise ScaleError(
                f"{group.name}: got {number}, allowed: from its min of {group.min} to"
                f" its max of {group.max}"
            )
        load, turning = self._load(), self._turning()
        to_none = number == 0
        reason = "to none, as asked for" if to_none else "asked for"

        def wish(stock: Stock) -> list[tuple[Machine, int]]:
            change = number - len(wishes.alive(stock)) - len(stock.rejected)
            if (some := abs(change)) > MOST_AT_ONCE:
                raise ScaleError(
                    f"{self.group.name}: got {number}, which is {some} machines away, allowed:"
                    f" {MOST_AT_ONCE} at once"
                )
            if change < 0:
                return wishes.fewer(
                    group, stock, some, self._now(), reason, turning, load, to_none=to_none
                )
            names = [self._names() for _ in range(some)]
            news = wishes.more(group, stock, names, self._now(), reason)
            return [(machine, 0) for machine in news]

        if number > 0:
            self._needs_registrar()
        if changed := self._wish(wish):
            return changed
        alive = wishes.alive(self._inventory.stock())
        return [each.id for each in alive if each.state is not MachineState.SERVING]

    def adopt(self, id_or_name: str) -> Machine:
        """Take an existing machine into the inventory."""
        self._needs_registrar()
        seen = self._provider.find(id_or_name)
        if seen is None:
            raise ScaleError(f"{id_or_name}: {self.group.provider.value} has no such machine")
        if not wishes.is_name(seen.name):
            raise ScaleError(f"{seen.name}: is no name for the inventory: rename the machine")
        whose = self._inventory.group_of(self.group.provider.value, seen.provider_id)
        if whose is not None:
            raise ScaleError(f"{seen.name}: is in the inventory already, in group {whose}")
        group = self._limited()

        def wish(stock: Stock) -> list[tuple[Machine, int]]:
            if seen.name in stock.machines:
                state = stock.machines[seen.name][0].state.value
                raise ScaleError(f"{seen.name}: is in the inventory already: {state}")
            (news,) = wishes.more(group, stock, [seen.name], self._now(), "")
            return [(found(news, seen, adopted=True), 0)]

        wish(self._inventory.stock())  # whether it can be
        self._provider.tag(seen.provider_id)
        self._wish(wish)
        return self._inventory.stock().machines[seen.name][0]

    def forget(self, which: str) -> Machine:
        """Take a machine out of the inventory and leave it running.

        While a scaler acts on it, it is for that to finish.
        """
        stock = self._inventory.stock()
        machine = find(self.group, stock, which)
        is_moving = machine.state in (*LEAVING, MachineState.REQUESTED)
        if is_moving and not self._engine.hold():
            raise ScaleError(
                f"{machine.id}: is {machine.state.value}, by a scaler on {self._lock.holder()}:"
                " wait until that is done, or stop it first"
            )
        id_, is_ours = machine.provider_id, machine.provider == self.group.provider.value
        if id_ is not None and is_ours and not census.is_another_s(stock, machine, id_):
            if census.is_ended(machine) and self._provider.find(id_) is not None:
                raise ScaleError(
                    f"{machine.id}: has failed, and is still at the provider, which is asked to"
                    " delete it: wait for that, or delete it there"
                )
            self._provider.untag(id_)
        if machine.state in LEAVING and machine.endpoint is not None:
            self._turns.undrain(machine.endpoint)
        if not self._inventory.forget(stock, machine):
            raise ScaleError(f"{machine.id}: has changed just now: try again")
        return machine

    def settle(
        self,
        ids: Collection[str],
        tell: Callable[[str], None],
        stop: threading.Event,
    ) -> bool:
        """Wait until each of them serves, has failed or is gone; say whether all is well.

        `tell` is given a line for each change. Set `stop` to end the waiting: what was wished for
        stays wished for.
        """
        watch = Watch(self.group, self._engine, self._lock, tell, self._clock)
        return watch.settle(ids, stop)

    def _limited(self) -> ScaleGroup:
        """Return the group with the limits by which the scaler goes that carries out the wish."""
        limits = self._lock.limits()
        if limits is None:
            return self.group
        return replace(self.group, min=limits[0], max=limits[1])

    def _needs_registrar(self) -> None:
        if self.group.register and self._lock.holder() is None:
            raise ScaleError(
                f"{self.group.name}: register = true: its machines get their secretary from"
                " secretary scale auto, and none runs"
            )

    def _wish(self, wish: Callable[[Stock], list[tuple[Machine, int]]]) -> list[str]:
        for _ in range(TRIES):
            stock = self._inventory.stock()
            wished = wish(stock)
            if not wished or self._inventory.wish(stock, *wished):
                return [machine.id for machine, _ in wished]
        raise ScaleError(f"{self.group.name}: its inventory changes all the time: try again")

    def _turning(self) -> set[str]:
        """Return the ids of the machines in rotation."""
        stock, rotation = self._inventory.stock(), self._turns.look()
        turning = (Word.APPLIED, Word.PENDING)
        return {
            machine.id
            for machine, _ in stock.machines.values()
            if machine.state is MachineState.SERVING
            and rotation.word(machine.address, machine.port, stock.own_since(machine)) in turning
        }

    def _load(self) -> dict[str, float]:
        """Return the load of each machine by id, where the group's choice asks for it."""
        if self.group.first is not Choice.LEAST_LOADED:
            return {}
        serving = {
            machine.provider_id: machine.id
            for machine, _ in self._inventory.stock().machines.values()
            if machine.provider_id is not None and machine.state is MachineState.SERVING
        }
        loads = self._provider.cpu(list(serving))
        return {serving[each]: load for each, load in loads.items() if each in serving}
