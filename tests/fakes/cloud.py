"""A cloud in memory, with faults to inject, and a provider of it for each group.

It behaves as `tests/contract/test_providers.py` holds all providers to. What a test does behind
the scaler's back are methods of the cloud.
"""

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from secretary.core.errors import CloudAway, CloudRefused
from secretary.scaler.ports import Seen, Standing

CALLS: Final = ("create", "machines", "delete", "find", "tag", "untag", "cpu")
_HELD_S: Final = 30.0


@dataclass
class FakeMachine:
    seen: Seen
    tags: set[str] = field(default_factory=set)
    is_listed: bool = True
    """False: lists lag behind, and do not show it yet, by its tag or by its name."""


@dataclass
class _Fault:
    call: str
    error: BaseException
    times: int
    is_applied: bool


class FakeCloud:
    """All machines of an account, by id. `calls` are those that came, with what they were about.

    `boots` says whether a machine is active as soon as it is made, `quota` how many there may be,
    and `load` is what `cpu` tells, in percent by a machine's name.
    """

    def __init__(self) -> None:
        self.machines: dict[str, FakeMachine] = {}
        self.calls: list[tuple[str, str]] = []
        self.boots = True
        self.quota: int | None = None
        self.load: dict[str, float] = {}
        self.is_away = False
        self.is_lagging = False
        """Whether machines that are made are not listed until `list_all`."""
        self._faults: list[_Fault] = []
        self._held: dict[str, threading.Event] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def provider(self, group: str) -> "FakeProvider":
        return FakeProvider(self, group)

    # What a test does behind the scaler's back

    def named(self, name: str) -> list[str]:
        """Return the ids of the machines of this name."""
        with self._lock:
            return [id_ for id_, each in self.machines.items() if each.seen.name == name]

    @property
    def names(self) -> list[str]:
        """Of all machines, in the order in which they were made."""
        with self._lock:
            return [each.seen.name for each in self.machines.values()]

    def count(self, call: str) -> int:
        """Return how often a call came."""
        return sum(1 for name, _ in self.calls if name == call)

    def make(self, name: str, *tags: str, created: datetime | None = None) -> str:
        """Make a machine and return its id."""
        with self._lock:
            number = next(self._numbers)
            standing = Standing.ACTIVE if self.boots else Standing.BOOTING
            address = f"10.9.{number // 250}.{number % 250 + 1}"
            seen = Seen(
                f"fake-{number}", name, standing, address if self.boots else None,
                created or datetime.now(UTC), "small", detail=standing.value,
            )  # fmt: skip
            self.machines[seen.provider_id] = FakeMachine(seen, set(tags), not self.is_lagging)
            return seen.provider_id

    def boot(self, name: str) -> None:
        """Finish the boot of a machine."""
        number = int(self._only(name).seen.provider_id.removeprefix("fake-"))
        address = f"10.9.{number // 250}.{number % 250 + 1}"
        self._change(name, standing=Standing.ACTIVE, address=address, detail="active")

    def move(self, name: str, address: str) -> None:
        """Give a machine another address."""
        self._change(name, address=address)

    def rename(self, name: str, another: str) -> None:
        """Give a machine another name, as somebody at the cloud's own console would."""
        self._change(name, name=another)

    def spoil(self, name: str, detail: str = "error") -> None:
        """Let a machine break: it is there, and will not serve."""
        self._change(name, standing=Standing.BROKEN, detail=detail)

    def vanish(self, name: str) -> None:
        """Delete a machine as somebody at the cloud's own console would."""
        with self._lock:
            del self.machines[self._only(name).seen.provider_id]

    def list_all(self) -> None:
        """Let the lists catch up."""
        with self._lock:
            self.is_lagging = False
            for each in self.machines.values():
                each.is_listed = True

    def fail(
        self, call: str, error: BaseException, *, times: int = 1, is_applied: bool = False
    ) -> None:
        """Make the next `times` calls of this name fail; after being carried out, if `is_applied`.

        `error` may be any exception, such as one that stands for the death of the process.
        """
        assert call in CALLS, call
        with self._lock:
            self._faults.append(_Fault(call, error, times, is_applied))

    def mend(self) -> None:
        """End all faults."""
        with self._lock:
            self._faults.clear()

    @contextmanager
    def hold(self, call: str) -> Iterator[None]:
        """While entered, calls of this name get no answer; then they are carried out."""
        assert call in CALLS, call
        held = self._held[call] = threading.Event()
        try:
            yield
        finally:
            del self._held[call]
            held.set()

    # What providers do

    def begin(self, call: str, about: str) -> BaseException | None:
        """Return what is to be raised after the call has been carried out."""
        self.calls.append((call, about))
        if (held := self._held.get(call)) is not None:
            held.wait(_HELD_S)
        if self.is_away:
            raise CloudAway(f"the cloud of the tests: {call} {about}: no answer")
        with self._lock:
            fault = next((each for each in self._faults if each.call == call), None)
            if fault is None:
                return None
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)
        if not fault.is_applied:
            raise fault.error
        return fault.error

    @property
    def lock(self) -> threading.RLock:
        return self._lock

    def _only(self, name: str) -> FakeMachine:
        with self._lock:
            (id_,) = self.named(name)
            return self.machines[id_]

    def _change(self, name: str, /, **what: object) -> None:
        with self._lock:
            machine = self._only(name)
            machine.seen = replace(machine.seen, **what)  # type: ignore[arg-type]


class FakeProvider:
    """A `Provider` of one group's machines in a cloud of the tests."""

    def __init__(self, cloud: FakeCloud, group: str) -> None:
        self._cloud = cloud
        self._tag = f"secretary-{group}"
        self.is_closed = False

    def create(self, name: str) -> Seen:
        cloud = self._cloud
        after = cloud.begin("create", name)
        with cloud.lock:
            if cloud.named(name):
                raise CloudRefused(f"the cloud of the tests: create {name}: the name is taken")
            if cloud.quota is not None and len(cloud.machines) >= cloud.quota:
                raise CloudRefused(f"the cloud of the tests: create {name}: the quota is used up")
            made = cloud.machines[cloud.make(name, self._tag)].seen
        _end(after)
        return made

    def machines(self) -> Sequence[Seen]:
        after = self._cloud.begin("machines", self._tag)
        with self._cloud.lock:
            found = [
                each.seen for each in self._cloud.machines.values()
                if self._tag in each.tags and each.is_listed
            ]  # fmt: skip
        _end(after)
        return found

    def delete(self, provider_id: str) -> bool:
        after = self._cloud.begin("delete", provider_id)
        with self._cloud.lock:
            deleted = self._cloud.machines.pop(provider_id, None)
        _end(after)
        return deleted is not None

    def find(self, id_or_name: str) -> Seen | None:
        after = self._cloud.begin("find", id_or_name)
        with self._cloud.lock:
            found = self._cloud.machines.get(id_or_name)
            if found is None:
                named = self._cloud.named(id_or_name)
                found = self._cloud.machines[named[0]] if named else None
                if found is not None and not found.is_listed:
                    found = None
        _end(after)
        return found.seen if found is not None else None

    def tag(self, provider_id: str) -> None:
        after = self._cloud.begin("tag", provider_id)
        with self._cloud.lock:
            if provider_id not in self._cloud.machines:
                raise CloudRefused(f"the cloud of the tests: tag {provider_id}: there is none")
            self._cloud.machines[provider_id].tags.add(self._tag)
        _end(after)

    def untag(self, provider_id: str) -> None:
        after = self._cloud.begin("untag", provider_id)
        with self._cloud.lock:
            if (found := self._cloud.machines.get(provider_id)) is not None:
                found.tags.discard(self._tag)
        _end(after)

    def cpu(self, provider_ids: Sequence[str]) -> Mapping[str, float]:
        after = self._cloud.begin("cpu", ",".join(provider_ids))
        with self._cloud.lock:
            named = {
                id_: self._cloud.machines[id_].seen.name
                for id_ in provider_ids
                if id_ in self._cloud.machines
            }
            found = {
                id_: self._cloud.load[name]
                for id_, name in named.items()
                if name in self._cloud.load
            }
        _end(after)
        return found

    def close(self) -> None:
        self.is_closed = True


def _end(after: BaseException | None) -> None:
    if after is not None:
        raise after
