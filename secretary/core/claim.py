"""Who may hold a key: the rules by which an agent reads what it finds under its own.

Pure: `judge` takes what was seen and says what it means. Acting on it is the registration's.
"""

import enum
from dataclasses import dataclass

from secretary.core.record import endpoint_of


@dataclass(frozen=True, slots=True)
class Found:
    """What stands under a key. `lease` is 0 when nothing will ever expire it."""

    value: bytes
    lease: int
    create_revision: int
    mod_revision: int


class Standing(enum.Enum):
    FREE = "free"
    OURS = "ours"
    """Our value under our lease: nothing to do."""
    ALTERED = "altered"
    """Ours to put right: another value under our lease, or something that no lease guards."""
    PREDECESSOR = "predecessor"
    """Our own endpoint, left by an agent before us: to be taken over."""
    SUCCESSOR = "successor"
    """Our own endpoint, taken over from us by an agent after us: stand by."""
    CONFLICT = "conflict"
    """Another endpoint, alive: wait until it ends."""


MAY_TAKE = frozenset({Standing.FREE, Standing.ALTERED, Standing.PREDECESSOR})
"""The standings in which a healthy agent writes its record."""


def judge(found: Found | None, *, value: bytes, lease: int | None, incumbent: bool) -> Standing:
    """Say what `found` under our key means to us.

    `value` is the record we want there and `lease` the one we hold, if any. `incumbent` is
    whether our record has stood there since this agent started: only then is another agent
    of our endpoint a successor, and something without a lease damage rather than a neighbour.
    """
    if found is None:
        return Standing.FREE
    if found.lease and found.lease == lease:
        return Standing.OURS if found.value == value else Standing.ALTERED
    endpoint = endpoint_of(found.value)
    same_endpoint = endpoint == endpoint_of(value)
    if not found.lease and (incumbent or same_endpoint or endpoint is None):
        return Standing.ALTERED
    if not same_endpoint:
        return Standing.CONFLICT
    return Standing.SUCCESSOR if incumbent else Standing.PREDECESSOR
