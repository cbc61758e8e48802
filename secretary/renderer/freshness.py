"""Whether a renderer has applied what the directory holds: the judge of `secretary ha fresh`.

Pure: compares a listing of etcd with what the renderer has said of itself after it. A deletion
leaves no trace in a listing but the number of keys, so that is compared too.
"""

import enum
from dataclasses import dataclass

import msgspec


class Verdict(enum.Enum):
    FRESH = "fresh"
    BEHIND = "behind"
    UNKNOWN = "unknown"
    """etcd is away, so there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """A verdict, and in one line what it is made of."""

    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One part of the directory as it stood at `revision`: how many keys, when the newest came."""

    revision: int
    newest: int = 0
    keys: int = 0


class Told(msgspec.Struct, frozen=True):
    """What a renderer says of the same part: `keys` are those that it knew of at `seen`."""

    seen: int = 0
    applied: int = 0
    keys: int = 0


class Page(msgspec.Struct, frozen=True):
    """What counts of a renderer's /status."""

    records: Told
    drains: Told


def lacks(listed: Listed, told: Told, latest: int) -> str | None:
    """Return what of `listed` the renderer has not applied; None when it has applied all.

    `told` was said after the listing, and etcd was at `latest` after that.
    """
    if told.applied == 0:
        return "nothing is applied yet"
    if told.applied > latest:
        return f"revision {told.applied} is applied, and etcd, made anew, is at {latest} only"
    if told.applied >= listed.revision:
        return None
    if told.applied < listed.newest:
        return f"revision {told.applied} is applied, and not {listed.newest}"
    if told.applied != told.seen:
        return f"revision {told.applied} is applied, and not {told.seen}"
    # All keys that there are, it knew of at `seen`: what it has beyond them has gone since.
    if told.keys != listed.keys:
        return (
            f"{told.keys} keys at revision {told.applied} are applied, and etcd has {listed.keys}"
        )
    return None


def judge(records: Listed, drains: Listed | None, page: Page, latest: int) -> Freshness:
    """Judge a renderer by its page; `drains` is None where they cannot be read."""
    if (lack := lacks(records, page.records, latest)) is not None:
        return Freshness(Verdict.BEHIND, f"records: {lack}")
    if drains is not None and (lack := lacks(drains, page.drains, latest)) is not None:
        return Freshness(Verdict.BEHIND, f"drains: {lack}")
    return Freshness(Verdict.FRESH, f"all that etcd held at revision {records.revision} is applied")
