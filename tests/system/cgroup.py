"""A control group of its own for a command that is a system of its own.

Without one, two systemds started from one shell take each other's services for theirs.
"""

import contextlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from tests.waiting import wait_for

_JOIN: Final = (
    'for group do [ "$group" = -- ] && break; echo $$ >"$group/cgroup.procs"; shift; done'
)
_GONE_S: Final = 20.0


class Cgroup:
    """Is there while entered, in each hierarchy in which systemd keeps track of processes."""

    def __init__(self) -> None:
        name = f"secretary-{uuid.uuid4().hex[:8]}"
        self._directories = [hierarchy / name for hierarchy in _hierarchies()]

    def __enter__(self) -> Self:
        for directory in self._directories:
            directory.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until all in it have ended, and remove it."""
        wait_for(self._is_gone, timeout_s=_GONE_S)

    def command(self, command: Sequence[str]) -> list[str]:
        """Return what runs the command in it."""
        groups = map(str, self._directories)
        return ["/bin/sh", "-e", "-c", f'{_JOIN}; shift; exec "$@"', "sh", *groups, "--", *command]

    def _is_gone(self) -> bool:
        for directory in self._directories:
            below = (path for path in directory.rglob("*") if path.is_dir())
            for group in (*sorted(below, reverse=True), directory):
                with contextlib.suppress(OSError):  # somebody is still in it, or it went
                    group.rmdir()
        return not any(directory.exists() for directory in self._directories)


def _hierarchies() -> list[Path]:
    """Where cgroup2 is mounted, and where the old one without controllers is."""
    found = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(where))
    return found
