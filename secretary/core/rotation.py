"""What the directory says of a service: who is in rotation, who drained, who has applied it."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from secretary.core.instance import Instance, State


class Word(enum.Enum):
    """What the directory says of one machine."""

    ABSENT = "absent"
    """It has no record, or one that says that it is leaving."""
    PENDING = "pending"
    """Its record is up, and not yet applied by every live renderer."""
    APPLIED = "applied"
    DRAINED = "drained"
    """Its record is up, and it has been taken out of rotation."""


@dataclass(frozen=True, slots=True)
class Follower:
    """A live renderer that follows the service, and how far its proxies are."""

    id: str
    applied: int
    """Revision of the records."""
    drain_applied: int
    """Revision of the drains."""
    quarantined: bool = False
    """Whether it holds this service back."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """`records` with the revision of each, `drains` (endpoint to the revision of its key)."""

    records: Sequence[tuple[Instance, int]] = ()
    drains: Mapping[str, int] = field(default_factory=dict)
    followers: Sequence[Follower] = ()
    missed: Sequence[Follower] = ()
    """Those that have fallen silent of late, as they were last. Drains wait for them, too."""

    def word(self, address: str | None, port: int | None = None, since: int = 0) -> Word:
        """Return what is said of the machine at this address, after the revision `since`."""
        up = [
            (instance, revision)
            for instance, revision in self.records
            if instance.ip == address
            and port in (None, instance.port)
            and instance.state is State.UP
            and revision > since
        ]
        if not up:
            return Word.ABSENT
        if address in self.drains or any(instance.addr in self.drains for instance, _ in up):
            return Word.DRAINED
        behind = self._behind(max(revision for _, revision in up), drain=False)
        return Word.PENDING if behind else Word.APPLIED

    def is_drained(self, endpoint: str) -> bool:
        """Whether the drain of this endpoint stands, and all waited for have applied it."""
        revision = self.drains.get(endpoint)
        return revision is not None and not self._behind(revision, drain=True)

    def _behind(self, revision: int, *, drain: bool) -> list[str]:
        waited_for = (*self.followers, *self.missed) if drain else self.followers
        return [
            each.id
            for each in waited_for
            if each.quarantined or (each.drain_applied if drain else each.applied) < revision
        ]
