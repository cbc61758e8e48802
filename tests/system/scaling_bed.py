"""A group of machines on a cloud in memory, an inventory in a real etcd, and a clock to be set."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from secretary.core.machine import Machine, MachineState, Stock
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.devetcd import DevEtcd
from secretary.scaler.desk import Desk
from secretary.scaler.engine import Engine
from secretary.scaler.report import Report
from secretary.store.etcd import Etcd
from secretary.store.inventory import Inventory, Lock
from secretary.store.kv import Delete
from secretary.store.turns import Turns
from tests.etcd_bed import settings_of
from tests.fakes.cloud import FakeCloud
from tests.records import Records

START = datetime(2026, 11, 21, 2, tzinfo=UTC)


class Death(BaseException):
    """Stands for the death of the process: nothing catches it."""


@dataclass
class Fuse:
    """Ends the process at the `left`-th call, before it is carried out or after. -1: never."""

    left: int = -1
    after: bool = False
    burnt: bool = False

    def of(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                self.burnt = True
                raise Death
            answer = call(*given, **named)
            if self.left == 0:
                self.burnt = True
                raise Death
            return answer

        return called


class Fused:
    """Whatever `of` can do, with a fuse on each of its calls."""

    def __init__(self, of: Any, fuse: Fuse) -> None:
        self._of = of
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._of, name)
        return self._fuse.of(found) if callable(found) else found


@dataclass
class Bed:
    """One group. `turn` is a turn of a scaler that lives as long as the test."""

    etcd: Etcd
    records: Records
    prefix: str
    group: ScaleGroup
    cloud: FakeCloud = field(default_factory=FakeCloud)
    now: datetime = START
    steady_s: float = 0.0
    names: Iterator[str] = field(
        default_factory=lambda: (f"web-{n:08x}" for n in itertools.count())
    )
    _process: ExitStack = field(default_factory=ExitStack)
    _standing: tuple[Engine, Desk] | None = None

    def clock(self) -> float:
        return self.steady_s

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.steady_s += seconds

    def jump_s(self, seconds: float) -> None:
        """Set the wall's clock."""
        self.now += timedelta(seconds=seconds)

    @contextmanager
    def scaler(self, fuse: Fuse | None = None) -> Iterator[tuple[Engine, Desk]]:
        """A scaler's process: with its own lock, ended without a goodbye when its fuse burns."""
        fuse = fuse or Fuse()
        lock = Lock(self.etcd, self.group.name, 60, (self.group.min, self.group.max))
        provider = self.cloud.provider(self.group.name)
        inventory: Any = Fused(Inventory(self.etcd, self.group.name, lock), fuse)
        turns: Any = Fused(Turns(self.etcd, self.prefix, self.group.service, lock), fuse)
        fused: Any = Fused(provider, fuse)
        name = lambda: next(self.names)  # noqa: E731
        engine = Engine(
            self.group, lock, inventory, turns, fused, lambda: self.now, name, self.clock
        )
        desk = Desk(self.group, lock, inventory, turns, fused, engine, lambda: self.now, name)
        try:
            yield engine, desk
        finally:
            engine.close()  # a lock that is left would only be waited for

    def turn(self) -> Report:
        if self._standing is None:
            self._standing = self._process.enter_context(self.scaler())
        engine, _ = self._standing
        report = engine.turn()
        assert report.is_held
        engine._lock.release()  # for those that a test runs besides
        return report

    def up(self, number: int) -> None:
        """Ask for machines, and wait until they serve."""
        with self.scaler() as (_, desk):
            desk.up(number)
        self.turns_until(lambda: self.count(MachineState.SERVING) >= number)

    def end(self) -> None:
        """End the scaler that takes the turns; the next turn is another's."""
        self._process.close()
        self._standing = None

    def turns_until(self, done: Callable[[], bool], *, most: int = 60, each_s: float = 5) -> None:
        """Turn after turn, as the clock goes on, until it is `done`."""
        for _ in range(most):
            if done():
                return
            self.turn()
            self.register()
            self.pass_s(each_s)
        raise AssertionError(f"not done: {self.states()}")

    def register(self) -> None:
        """Give each machine that runs and is not on its way out its record; end others' leases."""
        alive = {m.address for m in self.stock().values() if self.cloud.named(m.id)}
        leaving = (MachineState.DRAINING, MachineState.DELETING, MachineState.FAILED)
        for machine in self.stock().values():
            if machine.address is None:
                continue
            if machine.state not in leaving and self.cloud.named(machine.id):
                self.records.put(f"{machine.address}:80", name=self.group.service)
            elif not self.cloud.named(machine.id) and machine.address not in alive:
                self.records.delete(f"{machine.address}:80", name=self.group.service)

    def deregister(self, *addresses: str) -> None:
        self.records.delete(*(f"{each}:80" for each in addresses), name=self.group.service)

    def stock(self) -> dict[str, Machine]:
        return {machine.id: machine for machine, _ in self.inventory().machines.values()}

    def inventory(self) -> Stock:
        return Inventory(self.etcd, self.group.name, Lock(self.etcd, "none", 5)).stock()

    def states(self) -> dict[str, str]:
        return {each.id: each.state.value for each in self.stock().values()}

    def count(self, state: MachineState) -> int:
        return sum(each.state is state for each in self.stock().values())


@contextmanager
def bed_in(etcd: DevEtcd, prefix: str, **of_group: Any) -> Iterator[Bed]:
    name = f"g{prefix.strip('/')}"
    group = ScaleGroup(
        **{
            "name": name,
            "service": "web",
            "provider": ProviderName.DOCKER,
            "machine": MachineSettings(image="app"),
            "name_prefix": "web",
            "max": 10,
            **of_group,
        }
    )
    with ExitStack() as stack:
        connection = Etcd(settings_of(etcd))
        stack.callback(connection.close)
        bed = Bed(connection, Records(connection, prefix), prefix, group)
        stack.callback(bed.end)
        yield bed
        for machine in bed.stock().values():
            connection.commit([], [Delete(machine.key)])
