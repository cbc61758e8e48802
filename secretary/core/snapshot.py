"""The directory at one revision: the instances that decode, and why the others do not.

Immutable: a change makes another snapshot and decodes only what changed. A record that was
written anew with the same content stays the same object.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from secretary.core import record
from secretary.core.errors import RecordError
from secretary.core.instance import Instance, State


@dataclass(frozen=True, slots=True)
class Change:
    """What one key now holds; None when it is gone."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`instances` and `rejected` (the reason, one line) by key, at `revision`.

    `left` are the keys that went with the last changes after they had said `draining`: on purpose.
    With a `prefix`, only keys of the form `<prefix>/<name>/<last>` are records: who may write
    below one service's name cannot speak for another.
    """

    revision: int = 0
    instances: Mapping[str, Instance] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)
    left: frozenset[str] = frozenset()
    prefix: str | None = None

    def apply(self, revision: int, changes: Iterable[Change]) -> Self:
        """Return the directory at `revision`, after `changes`."""
        instances, rejected = dict(self.instances), dict(self.rejected)
        left = set()
        for change in changes:
            before = instances.pop(change.key, None)
            rejected.pop(change.key, None)
            left.discard(change.key)
            if change.value is None:
                if before is not None and before.state is State.DRAINING:
                    left.add(change.key)
                continue
            try:
                after = record.decode(change.key, change.value, self.prefix)
            except RecordError as error:
                rejected[change.key] = str(error)
            else:
                instances[change.key] = before if before == after else after
        return type(self)(revision, instances, rejected, frozenset(left), self.prefix)

    def listed(self, revision: int, changes: Iterable[Change]) -> Self:
        """Return the directory at `revision`, where `changes` are all that there is."""
        there = list(changes)
        gone = self.instances.keys() - {change.key for change in there}
        fresh = type(self)(instances=self.instances, prefix=self.prefix)
        return fresh.apply(revision, [*(Change(key, None) for key in gone), *there])

    def holds_as(self, other: Self) -> bool:
        """Whether it says the same as `other`, revisions apart."""
        return self.instances == other.instances and self.rejected == other.rejected

    def of(self, name: str | None = None) -> list[Instance]:
        """Return the instances of one service, or of all, sorted by name and address."""
        chosen = (i for i in self.instances.values() if name is None or i.name == name)
        return sorted(chosen, key=lambda i: (i.name, i.ip, i.port))
