"""The scaler's inventory in etcd, and the lock of those who act on it.

Every write is one transaction guarded by what the caller has seen, and, but for wishes, by the
lock's lease: a scaler that has lost its lock unawares can write nothing any more.
"""

import contextlib
import socket
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from secretary.core import machine as machines
from secretary.core.errors import LeaseLost, RecordError, StoreError
from secretary.core.machine import MACHINES, Machine, Stock
from secretary.store.etcd import Etcd
from secretary.store.kv import Delete, Guard, LeaseIs, ModIs, Operation, Put
from secretary.store.session import Session

LOCKS: Final = "/secretary/locks"
WISHES: Final = "/secretary/wishes"
"""Under which each group has a key that every wish changes; it holds the last number given."""
FORGOTTEN: Final = "/secretary/forgotten"
"""Under which are those that an operator has taken out: not to be taken in by themselves."""


class _Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands in a lock: who has it since when, and by which limits of the group."""

    host: str
    since: str = ""
    limits: tuple[int, int] | None = None


_held: Final = msgspec.json.Decoder(_Held)


class Lock:
    """The right to act on a group, held under a lease. Raises what `Etcd` raises."""

    def __init__(
        self, etcd: Etcd, group: str, ttl_s: int, limits: tuple[int, int] | None = None
    ) -> None:
        """`limits` are the fewest and the most machines, for others to keep to while we hold it."""
        self.key = f"{LOCKS}/{group}"
        self.ttl_s = ttl_s
        self._etcd = etcd
        self._limits = limits
        self._session: Session | None = None

    @property
    def guard(self) -> LeaseIs:
        """What holds only while we hold the lock. LeaseLost when we do not."""
        if self._session is None:
            raise LeaseLost(f"{self.key}: the lock is not ours")
        return LeaseIs(self.key, self._session.lease)

    def hold(self, now: str) -> bool:
        """Take the lock if nobody has it, keep it if it is ours; say whether it is.

        `now` is written into it, for people to read.
        """
        if self._session is not None:
            try:
                self._session.renew()
            except LeaseLost:
                self._session = None
            else:
                found = self._etcd.get(self.key)
                if found is not None and found.lease == self._session.lease:
                    return True
                self._session.close()
                self._session = None
        if self._etcd.get(self.key) is not None:
            return False
        # Kept before it is written: of a write whose answer is lost the next call finds out.
        self._session = session = Session(self._etcd, self.ttl_s)
        held = _Held(socket.gethostname(), now, self._limits)
        word = msgspec.json.encode(held)
        put = Put(self.key, word, session.lease)
        if not self._etcd.commit([ModIs(self.key, 0)], [put]).succeeded:
            # Ours, if it is a call that was made twice.
            found = self._etcd.get(self.key)
            if found is None or found.lease != session.lease:
                self._session = None
                session.close()
                return False
        return True

    def holder(self) -> str | None:
        """Return the host of who has it; None when nobody does."""
        found = self._etcd.get(self.key)
        if found is None:
            return None
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            return _held.decode(found.value).host
        return "somebody"

    def limits(self) -> tuple[int, int] | None:
        """Return the fewest and the most machines by which goes who has it; None if unknown."""
        found = self._etcd.get(self.key)
        if found is not None:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                return _held.decode(found.value).limits
        return None

    def release(self) -> None:
        """Let the next one in now."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(StoreError):  # it expires by itself
                session.close()


class Inventory:
    """The machines of one group, through one connection. Raises what `Etcd` raises."""

    def __init__(self, etcd: Etcd, group: str, lock: Lock) -> None:
        self._etcd = etcd
        self._group = group
        self._wishes = f"{WISHES}/{group}"
        self._forgotten = f"{FORGOTTEN}/{group}/"
        self._lock = lock

    def stock(self) -> Stock:
        """Return the machines as they stand."""
        last = self._etcd.get(self._wishes)  # first: what is wished meanwhile is then noticed
        found: dict[str, tuple[Machine, int]] = {}
        rejected, made_at = {}, {}
        for entry in self._etcd.list(f"{MACHINES}/{self._group}/").entries:
            try:
                machine = machines.decode(entry.key, entry.value)
            except RecordError as error:
                rejected[entry.key] = str(error)
            else:
                found[machine.id] = machine, entry.mod_revision
                made_at[machine.id] = entry.create_revision
        forgotten = {
            entry.key.removeprefix(self._forgotten): entry.value.decode(errors="replace")
            for entry in self._etcd.list(self._forgotten).entries
        }
        given = [machine.number or 0 for machine, _ in found.values()]
        if last is None:
            return Stock(found, rejected, 0, max(given, default=0), made_at, forgotten)
        numbered = max(_number(last.value), *given, 0)
        return Stock(found, rejected, last.mod_revision, numbered, made_at, forgotten)

    def wish(self, stock: Stock, *wishes: tuple[Machine, int]) -> bool:
        """Write machines, each over what was seen at a revision, 0 for nothing: all, or none.

        It and `forget` are all that may be done without the lock, and are not done when somebody
        has wished for something since `stock` was taken: the limits of a group hold for all wishes
        together.
        """
        news = {each for machine, _ in wishes for each in (machine.id, machine.provider_id)}
        back = [name for name, id_ in stock.forgotten.items() if name in news or id_ in news]
        also = [Delete(f"{self._forgotten}{each}") for each in back]
        return self._numbered([], list(wishes), stock, *also) is not None

    def groups(self) -> frozenset[str]:
        """Return the names of all groups that have machines."""
        keys = (entry.key for entry in self._etcd.list(f"{MACHINES}/").entries)
        return frozenset(key.removeprefix(f"{MACHINES}/").partition("/")[0] for key in keys)

    def group_of(self, provider: str, provider_id: str) -> str | None:
        """Return the group, of all there are, in which a machine of a provider is."""
        for entry in self._etcd.list(f"{MACHINES}/").entries:
            with contextlib.suppress(RecordError):
                machine = machines.decode(entry.key, entry.value)
                if (machine.provider, machine.provider_id) == (provider, provider_id):
                    return machine.group
        return None

    def change(self, changed: Machine, seen_at: int, *, adds: Iterable[Machine] = ()) -> int | None:
        """Write over a machine that is as it was seen, and add some: all of it, or nothing.

        Return the revision, None when it was not as it was seen. LeaseLost when the lock is not
        ours.
        """
        guard = self._lock.guard
        if new := [(machine, 0) for machine in adds]:
            return self._numbered([guard], [(changed, seen_at), *new], self.stock())
        return self._commit([guard], [(changed, seen_at)])

    def remove(self, machine: Machine, seen_at: int, *, drain: str | None) -> bool:
        """Take a machine out that is as it was seen, and with it the key of its drain.

        LeaseLost when the lock is not ours.
        """
        keys = [machine.key] if drain is None else [machine.key, drain]
        guards: list[Guard] = [self._lock.guard, ModIs(machine.key, seen_at)]
        done = self._etcd.commit(guards, [Delete(key) for key in keys])
        return done.succeeded or self._etcd.get(machine.key) is None

    def forget(self, stock: Stock, machine: Machine) -> bool:
        """Wish that a machine is in here no more, and is not taken in again by itself."""
        guards: list[Guard] = [
            ModIs(self._wishes, stock.wished_at),
            ModIs(machine.key, stock.machines[machine.id][1]),
        ]
        puts = [Put(self._wishes, str(stock.numbered).encode(), 0)]
        if machine.provider_id is not None:
            mark = f"{self._forgotten}{machine.id}"
            puts.append(Put(mark, machine.provider_id.encode(), 0))
        done = self._etcd.commit(guards, [Delete(machine.key), *puts])
        return done.succeeded or self._etcd.get(machine.key) is None

    def _numbered(
        self,
        guards: list[Guard],
        writes: list[tuple[Machine, int]],
        stock: Stock,
        *more: Operation,
    ) -> int | None:
        """Write machines as `_commit` does; those that are new get the next numbers."""
        last, numbered = stock.numbered, []
        for machine, seen_at in writes:
            if not seen_at:
                last += 1
                machine = replace(machine, number=last)
            numbered.append((machine, seen_at))
        guards = [*guards, ModIs(self._wishes, stock.wished_at)]
        return self._commit(guards, numbered, Put(self._wishes, str(last).encode(), 0), *more)

    def _commit(
        self, guards: list[Guard], writes: list[tuple[Machine, int]], *more: Operation
    ) -> int | None:
        guards += [ModIs(machine.key, seen_at) for machine, seen_at in writes]
        puts = [Put(machine.key, machines.encode(machine), 0) for machine, _ in writes]
        done = self._etcd.commit(guards, [*puts, *more])
        if done.succeeded:
            return done.revision
        # Done all the same, if it is a call that was made twice: its first answer was lost. A new
        # machine's name is nobody else's, whatever has become of the entry since.
        found, (_, seen_at) = self._etcd.get(puts[0].key), writes[0]
        is_ours = found is not None and (found.value == puts[0].value or seen_at == 0)
        return found.mod_revision if found is not None and is_ours else None


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0
