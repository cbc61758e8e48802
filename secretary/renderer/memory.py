"""What the renderer remembers from one start to the next: the last good records, what is applied.

A file of JSON, replaced as a whole. Used when etcd is away at the start, and to know whether the
proxy works by what is written. Without it all works, only with less memory; so a file that
cannot be read or written is said once and changes nothing else.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from secretary.core.errors import PublishError
from secretary.core.snapshot import Change, Snapshot
from secretary.renderer.files import Destination

_log = logging.getLogger(__name__)

LONGEST: Final = timedelta(hours=24)
"""Older records are not used: too much has happened since."""
RENEWED: Final = timedelta(minutes=10)
"""How often at least the file says that etcd still says the same."""


class Kept(msgspec.Struct, frozen=True):
    """What the file holds. `at` is when etcd last said so."""

    prefix: str
    at: datetime
    revision: int = 0
    records: Mapping[str, msgspec.Raw] = {}
    applied: Mapping[str, str] = {}


class Memory:
    """`applied` is a mapping to write to; `save` and `recall` are for one thread."""

    def __init__(self, path: str | None, prefix: str) -> None:
        self.applied: dict[str, str] = {}
        self._file = Destination(path, 0o600) if path is not None else None
        self._prefix = prefix
        self._failed = False
        self._saved: tuple[Snapshot, dict[str, str], datetime] | None = None

    def recall(self, now: datetime) -> Snapshot | None:
        """Return the last good records, if they are not too old; fill `applied`."""
        if self._file is None:
            return None
        try:
            content = self._file.read()
            if content is None:
                return None
            kept = msgspec.json.decode(content, type=Kept)
        except (PublishError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("%s: nothing remembered: %s", self._file.path, error)
            return None
        self.applied.update(kept.applied)
        if kept.prefix != self._prefix or not timedelta(0) <= now - kept.at <= LONGEST:
            return None
        changes = [Change(key, bytes(value)) for key, value in kept.records.items()]
        return Snapshot().apply(kept.revision, changes)

    def save(self, snapshot: Snapshot, at: datetime) -> None:
        """Keep what is known now; `at` is when etcd last answered."""
        if self._file is None:
            return
        applied = dict(self.applied)
        if self._saved is not None:
            before, applied_before, saved_at = self._saved
            same = before.instances == snapshot.instances and applied_before == applied
            if same and at - saved_at < RENEWED:
                return
        content: dict[str, Any] = {
            "prefix": self._prefix,
            "at": at,
            "revision": snapshot.revision,
            "records": snapshot.instances,
            "applied": applied,
        }
        try:
            with self._file.staged(msgspec.json.encode(content)) as staged:
                self._file.swap(staged)
        except PublishError as error:
            if not self._failed:
                _log.warning("%s; a start while etcd is away will know nothing", error)
            self._failed = True
        else:
            self._failed = False
            self._saved = snapshot, applied, at


def default_path(id_: str) -> str:
    """Return where a renderer of this name keeps its memory."""
    return str(Path("/var/lib/secretary", f"renderer-{id_}.json"))
