"""The directory in memory, with leases that end when a test says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from secretary.core.claim import Found
from secretary.core.errors import AccessDenied, LeaseLost, StoreFull, StoreUnavailable


@dataclass
class FakeLease:
    """A lease of the fake directory."""

    registry: "FakeRegistry"
    lease: int
    ttl_s: int

    @property
    def left_s(self) -> float:
        return float(self.ttl_s if self.lease in self.registry.leases else 0)

    def renew(self) -> None:
        self.registry.reach()
        self.registry.renewals += 1
        if self.lease not in self.registry.leases:
            raise LeaseLost(f"lease {self.lease:x} is gone")

    def close(self) -> None:
        self.registry.reach()
        if self.registry.fails_to_revoke:
            raise StoreUnavailable("etcd fake: no answer in time")
        self.registry.expire(self.lease)


@dataclass
class FakeRegistry:
    """Behaves as `store/registry.py` on one key space; `away` and `denied` make it refuse."""

    keys: dict[str, Found] = field(default_factory=dict)
    leases: set[int] = field(default_factory=set)
    revision: int = 1
    away: bool = False
    denied: bool = False
    fails_to_revoke: bool = False
    full: bool = False
    denied_keys: set[str] = field(default_factory=set)
    renewals: int = 0
    renderers: dict[str, int] = field(default_factory=dict)
    written: list[bytes] = field(default_factory=list)

    # What a test does behind the agent's back

    def overwrite(self, key: str, value: bytes, lease: int = 0) -> None:
        self.revision += 1
        old = self.keys.get(key)
        created = old.create_revision if old else self.revision
        self.keys[key] = Found(value, lease, created, self.revision)
        self.written.append(value)

    def remove(self, key: str) -> None:
        self.revision += 1
        del self.keys[key]

    def expire(self, lease: int) -> None:
        self.leases.discard(lease)
        for key in [key for key, found in self.keys.items() if found.lease == lease]:
            self.remove(key)

    # What the agent does

    def reach(self) -> None:
        if self.away:
            raise StoreUnavailable("etcd fake: no answer in time")
        if self.denied:
            raise AccessDenied("etcd fake: permission denied")

    def find(self, key: str) -> Found | None:
        self.reach()
        if key in self.denied_keys:
            raise AccessDenied(f"etcd fake: permission denied on {key}")
        return self.keys.get(key)

    def grant(self, ttl_s: int) -> FakeLease:
        self.reach()
        lease = FakeLease(self, 1000 + self.revision + len(self.leases), ttl_s)
        self.leases.add(lease.lease)
        return lease

    def put(self, key: str, value: bytes, lease: int, over: Found | None) -> bool:
        self.reach()
        if lease not in self.leases:
            raise LeaseLost(f"lease {lease:x} is gone")
        if self._mod(self.keys.get(key)) != self._mod(over):
            return False
        self.overwrite(key, value, lease)
        return True

    def rehearse(self, key: str, lease: int) -> None:
        self.reach()

    def mark(self, key: str, value: bytes, lease: int) -> bool:
        self.reach()
        found = self.keys.get(key)
        if found is None or found.lease != lease:
            return False
        self.overwrite(key, value, lease)
        return True

    def extend(self, found: Found) -> None:
        self.reach()

    def delete(self, key: str, lease: int) -> int | None:
        self.reach()
        if self.full:
            raise StoreFull("etcd fake: database space exceeded")
        found = self.keys.get(key)
        if found is None or found.lease != lease:
            return None
        self.remove(key)
        return self.revision

    def clear(self, key: str, found: Found) -> int | None:
        self.reach()
        if self._mod(self.keys.get(key)) != found.mod_revision:
            return None
        self.remove(key)
        return self.revision

    def renderers_behind(self, left: Mapping[str, int]) -> list[str]:
        self.reach()
        last = max(left.values())
        return [name for name, applied in self.renderers.items() if applied < last]

    @staticmethod
    def _mod(found: Found | None) -> int:
        return found.mod_revision if found else 0
