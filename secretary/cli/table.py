"""A snapshot as a table for people, or as JSON for programs. Pure: the time comes in."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from secretary.core.instance import Instance
from secretary.core.snapshot import Snapshot
from secretary.core.values import printable

COLUMNS = ("NAME", "ADDRESS", "WEIGHT", "STATE", "SINCE", "HOST", "TAGS", "META")
CLEAR = "\x1b[H\x1b[J"
"""Cursor home, and everything below it away."""


def as_table(snapshot: Snapshot, name: str | None, now: datetime) -> str:
    """Return the records of one service, or of all, aligned and sorted; only a head for none."""
    return aligned([COLUMNS, *(_row(instance, now) for instance in snapshot.of(name))])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of as many cells each, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def as_screen(snapshot: Snapshot, name: str | None, now: datetime) -> str:
    """Return the table as a terminal shows it anew at each change."""
    return f"{CLEAR}{as_table(snapshot, name, now)}\n\nas of {now:%H:%M:%S}Z"


def as_json(snapshot: Snapshot, name: str | None) -> str:
    """Return one JSON array of the records, each with its key."""
    found = sorted(
        (item for item in snapshot.instances.items() if name in (None, item[1].name)),
        key=lambda item: (item[1].name, item[1].ip, item[1].port),
    )
    records = [{"key": key, **msgspec.to_builtins(instance)} for key, instance in found]
    return msgspec.json.encode(records).decode()


def rejections(before: Snapshot, after: Snapshot, under: str) -> list[str]:
    """Return a line for each record under a key that is bad for a reason not told before."""
    return [
        printable(f"{key}: {reason}")
        for key, reason in sorted(after.rejected.items())
        if key.startswith(under) and before.rejected.get(key) != reason
    ]


def age(past: timedelta) -> str:
    """Return a time in its largest unit: `45s`, `3m`, `5h`, `2d`."""
    seconds = max(0, int(past.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _row(instance: Instance, now: datetime) -> tuple[str, ...]:
    return (
        instance.name,
        instance.addr,
        str(instance.weight),
        instance.state.value,
        age(now - instance.since),
        instance.host,
        ",".join(instance.tags) or "-",
        ",".join(f"{key}={value}" for key, value in instance.meta.items()) or "-",
    )
