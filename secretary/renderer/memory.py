"""What the renderer remembers from one start to the next: the last good records, what is applied.

A file of JSON, replaced as a whole. Used when etcd is away at the start, to know what a guard
kept, and to know whether the proxy works by what is written. Without it all works, only with
less memory; so a file that cannot be read or written is said once and changes nothing else.
"""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from secretary.core.drains import Drains
from secretary.core.errors import PublishError, SettingsError
from secretary.core.instance import Instance
from secretary.core.settings import RenderSettings
from secretary.core.snapshot import Change, Snapshot
from secretary.renderer.files import Destination, check_regular
from secretary.renderer.identity import id_of
from secretary.renderer.services import Roster, View

_log = logging.getLogger(__name__)

LONGEST: Final = timedelta(hours=24)
"""Older records are not used: too much has happened since."""
RENEWED: Final = timedelta(minutes=10)
"""How often at least the file says that etcd still says the same."""

DIRECTORY: Final = Path("/var/lib/secretary")

Records = Mapping[str, Instance]
"""Instances by key."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was known: the records, what a guard kept beside them, and what was drained.

    `good` has, by group, the records by which it went on with the services that it has in
    quarantine.
    """

    snapshot: Snapshot
    drains: Drains = field(default_factory=Drains)
    held: Records = field(default_factory=dict)
    good: Mapping[str, Records] = field(default_factory=dict)

    def view_of(self, group: str) -> View:
        """Return the view by which a group went on: as all was known, but for its quarantine."""
        good = self.good.get(group, {})
        aside = {record.name for record in good.values()}
        records = {k: r for k, r in self.snapshot.instances.items() if r.name not in aside}
        endpoints = frozenset(self.drains.endpoints.values())
        instances = {**records, **self.held, **good}
        return Roster().view(self.snapshot.revision, 0, instances, self.held, endpoints)


_Raw = Mapping[str, msgspec.Raw]


class _Kept(msgspec.Struct, frozen=True):
    """What the file holds. `at` is when etcd last said so."""

    prefix: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    revision: int = 0
    records: _Raw = {}
    held: _Raw = {}
    drains: tuple[str, ...] = ()
    good: Mapping[str, _Raw] = {}
    applied: Mapping[str, str] = {}


class Memory:
    """`applied` maps destinations to the digest of what the proxy works by.

    It is written down only at the end (`last`) and struck out at the start: after a crash nobody
    knows it, and a reload too many is better than one too few.
    """

    def __init__(self, path: str | None, prefix: str) -> None:
        self.applied: dict[str, str] = {}
        self._file = Destination(path, 0o600) if path is not None else None
        self._prefix = prefix
        self._failed = False
        self._saved: tuple[Remembered, datetime] | None = None

    def recall(self, now: datetime, *, only_look: bool = False) -> Remembered | None:
        """Return what was known, if it is not too old; fill `applied`, unless `only_look`."""
        if self._file is None:
            return None
        if not only_look:
            self._file.tidy()
        if (kept := self._read(self._file)) is None:
            return None
        if (
            kept.applied
            and not only_look
            and self._write(self._file, msgspec.structs.replace(kept, applied={}))
        ):
            self.applied.update(kept.applied)
        if kept.prefix != self._prefix or abs(now - kept.at) > LONGEST:
            return None
        return Remembered(
            self._snapshot(kept.revision, kept.records),
            Drains().apply(0, [Change(key, b"") for key in kept.drains]),
            self._snapshot(0, kept.held).instances,
            {group: self._snapshot(0, raw).instances for group, raw in kept.good.items()},
        )

    def save(self, known: Remembered, at: datetime, *, last: bool = False) -> None:
        """Keep what is known; `at` is when etcd last answered."""
        if self._file is None:
            return
        if self._saved is not None and not last:
            before, saved_at = self._saved
            if _alike(before, known) and at - saved_at < RENEWED:
                return
        content: dict[str, Any] = {
            "prefix": self._prefix,
            "at": at,
            "revision": known.snapshot.revision,
            "records": known.snapshot.instances,
            "held": known.held,
            "drains": list(known.drains.endpoints),
            "good": known.good,
            "applied": dict(self.applied) if last else {},
        }
        if self._write(self._file, content):
            self._saved = known, at

    def _snapshot(self, revision: int, records: _Raw) -> Snapshot:
        changes = [Change(key, bytes(value)) for key, value in records.items()]
        return Snapshot(prefix=self._prefix).apply(revision, changes)

    def _read(self, file: Destination) -> _Kept | None:
        try:
            content = file.read()
            return None if content is None else msgspec.json.decode(content, type=_Kept)
        except (PublishError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _log.warning("%s: nothing remembered: %s", file.path, error)
            return None

    def _write(self, file: Destination, content: object) -> bool:
        if file.path.parent == DIRECTORY:  # ours, and perhaps not made yet
            with contextlib.suppress(OSError):
                DIRECTORY.mkdir(mode=0o755)
        try:
            with file.staged(msgspec.json.encode(content)) as staged:
                file.swap(staged)
        except PublishError as error:
            if not self._failed:
                _log.warning("%s; a start while etcd is away will know nothing", error)
            self._failed = True
            return False
        self._failed = False
        return True


def _alike(one: Remembered, other: Remembered) -> bool:
    return (
        one.snapshot.instances == other.snapshot.instances
        and one.held.keys() == other.held.keys()
        and one.drains.endpoints == other.drains.endpoints
        and one.good == other.good
    )


def memory_of(settings: RenderSettings) -> Memory:
    """Return the memory of a renderer with these settings."""
    path = settings.state or str(DIRECTORY / f"renderer-{id_of(settings)}.json")
    try:
        check_regular(path)
    except ValueError as error:
        raise SettingsError(f"state: {error}; off for none") from error
    return Memory(None if path == "off" else path, settings.prefix)
