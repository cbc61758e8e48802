"""The directory of services in etcd: put a record, take it out, list them all.

Decides nothing: who may hold a key is `core/claim.py`'s. Every write is one transaction guarded
by what the caller has seen, so a call that is made twice, or carried out late, does no harm.
"""

import contextlib
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from secretary.core.claim import Found
from secretary.core.errors import LeaseLost
from secretary.core.snapshot import Change, Snapshot
from secretary.store.etcd import Etcd
from secretary.store.kv import Delete, Guard, LeaseIs, ModIs, Put
from secretary.store.session import Session

RENDERERS: Final = "/secretary/renderers/"
NEVER: Final = 2**63 - 1
"""A revision that no key will ever have."""


class Acknowledgement(msgspec.Struct, frozen=True):
    """The part of a renderer's status that an agent waits for.

    `applied` is the revision that its proxies work by, but for the services in `quarantined`.
    It follows the records under `prefix`; all, where it does not say.
    """

    applied: Annotated[int, msgspec.Meta(ge=0)]
    prefix: str | None = None
    quarantined: tuple[str, ...] = ()

    def lacks(self, key: str, revision: int) -> bool:
        """Whether what became of `key` at `revision` concerns it, and is not applied yet."""
        if self.prefix is not None and not key.startswith(f"{self.prefix}/"):
            return False
        name = key.split("/")[-2]
        return self.applied < revision or name in self.quarantined


_acknowledgement: Final = msgspec.json.Decoder(Acknowledgement)


class Registry:
    """Records, through one connection. Raises what `Etcd` raises."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd

    # One key

    def find(self, key: str) -> Found | None:
        """Return what stands under the key."""
        seen = self._etcd.get(key)
        if seen is None:
            return None
        return Found(seen.value, seen.lease, seen.create_revision, seen.mod_revision)

    def grant(self, ttl_s: int) -> Session:
        """Return a fresh lease of `ttl_s` seconds."""
        return Session(self._etcd, ttl_s)

    def put(self, key: str, value: bytes, lease: int, over: Found | None) -> bool:
        """Write the record under the lease if the key still holds `over`; say whether it did.

        LeaseLost when the lease is gone. A key that is replaced keeps its create revision.
        """
        guard = ModIs(key, over.mod_revision if over else 0)
        return self._etcd.commit([guard], [Put(key, value, lease)]).succeeded

    def rehearse(self, key: str, lease: int) -> None:
        """Ask for a write that can never happen: AccessDenied when a real one would be."""
        self._etcd.commit([ModIs(key, NEVER)], [Put(key, b"", lease)])

    def mark(self, key: str, value: bytes, lease: int) -> bool:
        """Write over our record if it is still under this lease; say whether it was."""
        return self._etcd.commit([LeaseIs(key, lease)], [Put(key, value, lease)]).succeeded

    def extend(self, found: Found) -> None:
        """Let a record that another agent has left live for one more of its TTLs."""
        if found.lease:
            with contextlib.suppress(LeaseLost):
                self._etcd.keep_alive(found.lease)

    def delete(self, key: str, lease: int) -> int | None:
        """Delete the key if it is under this lease; return the revision, None when it is not.

        Revoke the lease after it: a write that is still under way can then never land.
        """
        return self._delete(key, LeaseIs(key, lease))

    def clear(self, key: str, found: Found) -> int | None:
        """Delete the key if it still holds `found`; return the revision, None when it does not."""
        return self._delete(key, ModIs(key, found.mod_revision))

    def _delete(self, key: str, guard: Guard) -> int | None:
        committed = self._etcd.commit([guard], [Delete(key)])
        return committed.revision if committed.succeeded else None

    # All keys

    def renderers_behind(self, left: Mapping[str, int]) -> list[str]:
        """Return the ids of the live renderers that have not applied all of `left` yet.

        That are keys, each with the revision at which it went.
        """
        behind = []
        for entry in self._etcd.list(RENDERERS).entries:
            # What does not decode is no renderer of ours: nobody can wait for it.
            with contextlib.suppress(msgspec.DecodeError):
                renderer = _acknowledgement.decode(entry.value)
                if any(renderer.lacks(key, revision) for key, revision in left.items()):
                    behind.append(entry.key.removeprefix(RENDERERS))
        return behind

    def snapshot(self, prefix: str) -> Snapshot:
        """Return the directory under `prefix` as it stands."""
        listing = self._etcd.list(f"{prefix}/")
        changes = [Change(entry.key, entry.value) for entry in listing.entries]
        return Snapshot(prefix=prefix).apply(listing.revision, changes)
