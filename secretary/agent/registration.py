"""One service's place in the directory: what is wanted there, and the steps that make it so.

The worker says what is wanted, the keeper's thread calls `step`. Each step looks at what is
there before it acts, so it may be repeated after any failure; who may hold the key is decided
by `core/claim.py`. In the steady state a step renews the lease and reads: it writes nothing.
"""

import contextlib
import enum
import logging
import math
import threading
from dataclasses import dataclass
from typing import Final

from secretary.agent.health import Verdict
from secretary.agent.ports import Lease, Registry
from secretary.core.claim import MAY_TAKE, Found, Standing, judge
from secretary.core.errors import LeaseLost, SecretaryError, StoreFull
from secretary.core.record import draining, endpoint_of

_log = logging.getLogger(__name__)

POSTPONED_S: Final = 5.0
"""When a registration is tried again that has failed for a reason of its own."""
LOOK_AGAIN_S: Final = 2.0
"""How often a key that somebody else holds is looked at."""


class Place(enum.Enum):
    """Where the service stands in the directory, as far as we know."""

    ABSENT = "absent"
    ADOPTABLE = "adoptable"
    """A predecessor's record stands there, left in place while the first probes run."""
    REGISTERED = "registered"
    STANDBY = "standby"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the directory should say: `value` while the verdict is up."""

    verdict: Verdict
    value: bytes


class Registration:
    """The record of one service. `want` and `leave` from any thread, `step` from one.

    `place`, `holder` (who has our key), `trouble` (the last error, None when all is well),
    `registrations` (records written under a fresh lease) and `left_revision` (of the last
    deletion) may be read from any thread.
    """

    def __init__(self, name: str, key: str, value: bytes, ttl_s: int, registry: Registry) -> None:
        self.key = key
        self.place = Place.ABSENT
        self.holder: str | None = None
        self.trouble: str | None = None
        self.registrations = 0
        self.left_revision: int | None = None
        self._log = logging.LoggerAdapter(_log, {"service": name, "key": key})
        self._ttl_s = ttl_s
        self._registry = registry
        self._lock = threading.Lock()
        self._wanted = Wanted(Verdict.UNDECIDED, value)
        self._trying: Wanted | None = None
        self._attempted: Wanted | None = None
        self._postponed_for: str | None = None
        self._leaving = False
        self._on_purpose = False
        self._next_s = -math.inf
        self._lease: Lease | None = None
        self._incumbent = False
        self._written: bytes | None = None

    # What is wanted

    def want(self, verdict: Verdict, value: bytes) -> None:
        """Let the directory say this from now on; ignored once the service is leaving."""
        with self._lock:
            if not self._leaving:
                self._wanted = Wanted(verdict, value)

    def leave(self) -> None:
        """Take out what we have put there, whatever is wanted later.

        What a predecessor left is not ours to remove while no probe has spoken: it expires.
        """
        with self._lock:
            self._leaving = True
            if self._wanted.verdict is Verdict.UP:
                self._wanted = Wanted(Verdict.DOWN, self._wanted.value)
                self._on_purpose = True

    def abandon(self) -> None:
        """Never touch the record again: it stays until it is taken over or expires."""
        with self._lock:
            self._leaving = True
            self._wanted = Wanted(Verdict.UNDECIDED, self._wanted.value)

    @property
    def settled(self) -> bool:
        """Whether all is as wanted and nothing needs to be renewed."""
        return self.due_s == math.inf

    # How it is made so

    @property
    def due_s(self) -> float:
        """When `step` should be called, in seconds of its clock; inf when all is as wanted."""
        return self._next_s if self._attempted is self._wanted else -math.inf

    @property
    def lease_left_s(self) -> float:
        lease = self._lease
        return lease.left_s if lease is not None else 0.0

    @property
    def lease(self) -> int | None:
        lease = self._lease
        return lease.lease if lease is not None else None

    @property
    def incumbent(self) -> bool:
        """Whether our record has stood in the directory since we started."""
        return self._incumbent

    def step(self, now_s: float) -> None:
        """Bring the directory one step closer to what is wanted.

        StoreError, and SettingsError when a file that opens etcd cannot be read.
        """
        wanted = self._trying = self._wanted
        try:
            match wanted.verdict:
                case Verdict.UP:
                    again_s = self._hold(wanted.value)
                case Verdict.DOWN:
                    again_s = self._release(wanted.value)
                case Verdict.UNDECIDED:
                    again_s = self._spare(wanted.value)
        except SecretaryError as error:
            self.trouble = str(error)
            raise
        self._postponed_for = None
        if self.place is not Place.CONFLICT:
            self.trouble = None
        self._attempted, self._next_s = wanted, now_s + again_s

    def postpone(self, now_s: float, error: Exception) -> None:
        """Rest after a step that ended in `error`, yet no longer than a lease that we may hold.

        Says so once for each reason, until a step succeeds.
        """
        if str(error) != self._postponed_for:
            self._postponed_for = str(error)
            unforeseen = None if isinstance(error, SecretaryError) else error
            self._log.error("%s; trying again", str(error) or "unforeseen", exc_info=unforeseen)
        self.trouble = str(error)
        self._attempted = self._trying
        self._next_s = now_s + min(POSTPONED_S, self._ttl_s / 3)

    def _hold(self, value: bytes) -> float:
        """Keep our record there; return in how many seconds to look again."""
        if self._lease is not None:
            try:
                self._lease.renew()
            except LeaseLost as error:
                self._log.warning("%s; registering again", error)
                self._lease = None
        found, standing = self._look(value)
        if standing is Standing.OURS:
            self._settle(Place.REGISTERED)
            return self._ttl_s / 3
        if found is not None and standing not in MAY_TAKE:
            return self._give_way(found, standing)
        return self._write(value, found, standing)

    def _write(self, value: bytes, found: Found | None, standing: Standing) -> float:
        fresh = self._lease is None
        if self._lease is None:
            self._lease = self._registry.grant(self._ttl_s)
        try:
            if not self._registry.put(self.key, value, self._lease.lease, found):
                return 0.0  # it has changed since we looked
        except LeaseLost:
            self._lease = None
            return 0.0
        if fresh:
            self.registrations += 1
            self._log.info(
                "took over the record" if standing is Standing.PREDECESSOR else "registered"
            )
        elif found is not None and found.value == self._written:
            self._log.info("updated the record")
        elif self._incumbent:
            self._log.warning("put the record right: it was %s", "altered" if found else "gone")
        self._incumbent = True
        self._written = value
        self._settle(Place.REGISTERED)
        return self._ttl_s / 3

    def _give_way(self, found: Found, standing: Standing) -> float:
        """Let the key to its holder, and be ready for when it is free."""
        if self._lease is not None:
            self._lease.close()
            self._lease = None
        place = Place.CONFLICT if standing is Standing.CONFLICT else Place.STANDBY
        holder = f"{endpoint_of(found.value) or 'an unreadable record'}, lease {found.lease:x}"
        if (place, holder) != (self.place, self.holder):
            if place is Place.CONFLICT:
                self.trouble = f"the key is held by {holder}"
                self._log.warning(
                    "%s; waiting until it ends (--key-by ip-port gives each port its own key)",
                    self.trouble,
                )
            else:
                self._log.info("another secretary has taken over this endpoint; standing by")
        self._settle(place, holder)
        return LOOK_AGAIN_S

    def _release(self, value: bytes) -> float:
        """Take our record out, or what a predecessor or a careless hand left for this endpoint."""
        revision = None
        if self._lease is not None:
            if self._on_purpose:
                self._announce(value, self._lease.lease)
            # A full etcd deletes nothing, yet it revokes leases, and what hangs on them goes.
            with contextlib.suppress(StoreFull):
                revision = self._registry.delete(self.key, self._lease.lease)
                self._gone_at(revision)
            self._lease.close()
            self._lease = None
        if revision is None:
            found, standing = self._look(value)
            if found is not None and standing in (Standing.PREDECESSOR, Standing.ALTERED):
                self._gone_at(self._registry.clear(self.key, found))
        self._settle(Place.ABSENT)
        return math.inf

    def _announce(self, value: bytes, lease: int) -> None:
        """Say that we leave, so that nobody takes our going for a loss.

        Once: what it is worth is not worth holding up the going.
        """
        self._on_purpose = False
        with contextlib.suppress(SecretaryError):
            self._registry.mark(self.key, draining(value), lease)

    def _gone_at(self, revision: int | None) -> None:
        """Note when our record went, so that the renderers can be waited for."""
        if revision is not None:
            self.left_revision = revision
            self._log.info("withdrew the record")

    def _spare(self, value: bytes) -> float:
        """Leave a predecessor's record in place, alive, while the first probes run."""
        found, standing = self._look(value)
        if found is not None and standing is Standing.PREDECESSOR:
            self._registry.extend(found)
            self._log.info("found our endpoint's record; keeping it while the first probes run")
            self._settle(Place.ADOPTABLE)
        return math.inf

    def _look(self, value: bytes) -> tuple[Found | None, Standing]:
        found = self._registry.find(self.key)
        return found, judge(found, value=value, lease=self.lease, incumbent=self._incumbent)

    def _settle(self, place: Place, holder: str | None = None) -> None:
        self.place, self.holder = place, holder
