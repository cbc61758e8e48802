"""The words in which the rest of the store speaks of etcd, free of any client library."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class KeyValue:
    key: str
    value: bytes
    lease: int
    create_revision: int
    mod_revision: int


@dataclass(frozen=True, slots=True)
class ModIs:
    """Guard: the key was last changed at `revision`; 0 means that it does not exist."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class LeaseIs:
    """Guard: the key exists under `lease` (not 0)."""

    key: str
    lease: int


Guard: TypeAlias = ModIs | LeaseIs


@dataclass(frozen=True, slots=True)
class Put:
    key: str
    value: bytes
    lease: int


@dataclass(frozen=True, slots=True)
class Delete:
    key: str


Operation: TypeAlias = Put | Delete


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction did, and the directory's revision after it."""

    succeeded: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All keys under a prefix as they stood at `revision`."""

    revision: int
    entries: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a watch saw up to `revision`: pairs of key and new value, None when deleted."""

    revision: int
    changes: tuple[tuple[str, bytes | None], ...]
