"""The directory at one revision: the instances that decode, and why the others do not.

Immutable: a change makes another snapshot and decodes only what changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from secretary.core import record
from secretary.core.errors import RecordError
from secretary.core.instance import Instance


@dataclass(frozen=True, slots=True)
class Change:
    """What one key now holds; None when it is gone."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`instances` and `rejected` (the reason, one line) by key, at `revision`."""

    revision: int = 0
    instances: Mapping[str, Instance] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)

    def apply(self, revision: int, changes: Iterable[Change]) -> Self:
        """Return the directory at `revision`, after `changes`."""
        instances, rejected = dict(self.instances), dict(self.rejected)
        for change in changes:
            instances.pop(change.key, None)
            rejected.pop(change.key, None)
            if change.value is None:
                continue
            try:
                instances[change.key] = record.decode(change.key, change.value)
            except RecordError as error:
                rejected[change.key] = str(error)
        return type(self)(revision, instances, rejected)

    def of(self, name: str | None = None) -> list[Instance]:
        """Return the instances of one service, or of all, sorted by name and address."""
        chosen = (i for i in self.instances.values() if name is None or i.name == name)
        return sorted(chosen, key=lambda i: (i.name, i.ip, i.port))
