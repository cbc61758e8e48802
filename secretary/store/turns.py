"""How a service stands in the directory, for the scaler: records, drains, and who follows them."""

from typing import Final

import msgspec

from secretary.core import record
from secretary.core.drains import DRAINS, Drains
from secretary.core.errors import RecordError
from secretary.core.rotation import Follower, Rotation
from secretary.core.snapshot import Change
from secretary.store.etcd import Etcd
from secretary.store.inventory import Lock
from secretary.store.kv import Delete, Guard, ModIs, Put
from secretary.store.registry import RENDERERS

_OURS: Final = b"secretary scale"
"""In a drain's key. Whatever else stands there, an operator has set it."""


class _Word(msgspec.Struct, frozen=True):
    """The part of a renderer's word that the scaler waits for."""

    applied: int = 0
    drain_applied: int = 0
    prefix: str | None = None
    quarantined: tuple[str, ...] = ()


_word: Final = msgspec.json.Decoder(_Word)


class Turns:
    """One service under one prefix, through one connection. Raises what `Etcd` raises."""

    def __init__(self, etcd: Etcd, prefix: str, service: str, lock: Lock) -> None:
        self._etcd = etcd
        self._lock = lock
        self._prefix = prefix
        self._service = service

    def look(self) -> Rotation:
        """Return how it stands. The parts are read one after the other, followers last.

        What a follower has applied is then never older than what it is compared with.
        """
        records = []
        listing = self._etcd.list(f"{self._prefix}/{self._service}/")
        for entry in listing.entries:
            try:
                instance = record.decode(entry.key, entry.value, self._prefix)
            except RecordError:
                continue  # readers leave it out, and say so
            records.append((instance, entry.mod_revision))
        under = f"{DRAINS}/{self._service}/"
        drains = self._etcd.list(under)
        changes = [Change(entry.key, entry.value) for entry in drains.entries]
        read = Drains().apply(drains.revision, changes).endpoints
        at = {entry.key: entry.mod_revision for entry in drains.entries}
        return Rotation(
            records=tuple(records),
            drains={endpoint: at[key] for key, (_, endpoint) in read.items()},
            followers=self._followers(),
        )

    def drain(self, endpoint: str) -> None:
        """Take it out of rotation. May be repeated. LeaseLost when the lock is not ours."""
        key = self.drain_key(endpoint)
        self._etcd.commit([self._lock.guard, ModIs(key, 0)], [Put(key, _OURS, 0)])

    def undrain(self, endpoint: str) -> bool:
        """Put it back into rotation, and say whether nothing keeps it out: not an operator's drain.

        May be repeated. LeaseLost when the lock is not ours.
        """
        key = self.drain_key(endpoint)
        found = self._etcd.get(key)
        if found is None:
            return True
        if found.value != _OURS:
            return False
        guards: list[Guard] = [self._lock.guard, ModIs(key, found.mod_revision)]
        return self._etcd.commit(guards, [Delete(key)]).succeeded

    def drain_key(self, endpoint: str) -> str:
        return f"{DRAINS}/{self._service}/{endpoint}"

    def _followers(self) -> tuple[Follower, ...]:
        followers = []
        for entry in self._etcd.list(RENDERERS).entries:
            try:
                word = _word.decode(entry.value)
            except msgspec.DecodeError:
                continue  # no renderer of ours: nobody can wait for it
            if word.prefix in (None, self._prefix):
                followers.append(
                    Follower(
                        entry.key.removeprefix(RENDERERS),
                        word.applied,
                        word.drain_applied,
                        self._service in word.quarantined,
                    )
                )
        return tuple(followers)
