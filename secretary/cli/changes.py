"""What changed between two snapshots, as a line for people and as a line of JSON.

Pure: the time comes in with the call.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from secretary.core.instance import Instance
from secretary.core.snapshot import Snapshot


class Event(enum.Enum):
    UP = "up"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """One record that came, changed or went. `instance` is what it last was."""

    event: Event
    key: str
    instance: Instance


def changes(before: Snapshot, after: Snapshot, name: str | None) -> Iterator[Change]:
    """Yield what happened to the records of one service, or of all, in the order of the keys."""
    for key in sorted({**before.instances, **after.instances}):
        old, new = before.instances.get(key), after.instances.get(key)
        instance = new or old
        if instance is None or old == new or name not in (None, instance.name):
            continue
        if new is None:
            yield Change(Event.GONE, key, instance)
        else:
            yield Change(Event.UP if old is None else Event.CHANGED, key, instance)


def as_line(change: Change, now: datetime) -> str:
    """Return the change as a person reads it, with the time at which it was seen."""
    instance = change.instance
    facts = [
        now.strftime("%H:%M:%SZ"),
        f"{change.event.value:<7}",
        instance.name,
        instance.addr,
    ]
    if change.event is not Event.GONE:
        facts += [instance.state.value, f"weight={instance.weight}", *instance.tags]
        facts += [f"{key}={value}" for key, value in instance.meta.items()]
    return " ".join(facts)


def as_json(change: Change) -> str:
    """Return the change as one line of JSON."""
    line = {"event": change.event.value, "key": change.key, "record": change.instance}
    return msgspec.json.encode(line).decode()
