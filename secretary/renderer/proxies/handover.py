"""Waits until a proxy works by its new configuration: its former workers accept nothing any more.

nginx and HAProxy answer a reload at once and replace their workers a moment later, while the old
ones still take connections. Looks at /proc, for the children of the proxy's main process; where
that cannot be seen, it waits for a fixed time.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from secretary.core.errors import ReloadFailed
from secretary.renderer.ports import Reload

_log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
LOOK_S: Final = 0.01
_LISTENING: Final = "0A"
_PROC: Final = Path("/proc")


class HandedOver:
    """A reload that returns when the new workers have taken over.

    `main_pid` returns the proxy's main process, None when it is not known; it may raise
    ReloadFailed.
    """

    def __init__(self, reload: Reload, main_pid: Callable[[], int | None], settle_s: float) -> None:
        self._reload = reload
        self._main_pid = main_pid
        self._settle_s = settle_s
        self._pause = threading.Event()
        self._said = False

    def __call__(self) -> None:
        pid = self._main_pid()
        before = children(pid) if pid is not None else frozenset()
        # Without children it is no master of workers; if they cannot be looked into, it is
        # another user's.
        seen = pid is not None and all(map(_can_be_seen, before)) and bool(before)
        self._reload()
        if not seen or pid is None:
            self._settle()
            return
        deadline_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline_s:
            now = children(pid)
            if now - before and not any(map(listens, before & now)):
                return
            if not (_PROC / str(pid)).exists():
                raise ReloadFailed(f"the proxy's main process {pid} has ended at the reload")
            self._pause.wait(LOOK_S)
        raise ReloadFailed(
            f"the proxy has not taken it up within {TIMEOUT_S:g} s: process {pid} has the workers"
            " that it had; see its log"
        )

    def _settle(self) -> None:
        if not self._said:
            _log.info(
                "the proxy's workers cannot be watched here: a reload counts after %g s",
                self._settle_s,
            )
        self._said = True
        self._pause.wait(self._settle_s)


def children(pid: int) -> frozenset[int]:
    """Return the processes whose parent is `pid`, those apart that have ended."""
    found = set()
    for entry in _PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            # After the command's name, which may hold anything: state and parent.
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if parent == str(pid) and state not in "ZX":
                found.add(int(entry.name))
    return frozenset(found)


def listens(pid: int) -> bool:
    """Whether a process still holds a listening TCP socket. False when it has ended."""
    try:
        process = _PROC / str(pid)
        if b"worker process is shutting down" in (process / "cmdline").read_bytes():
            return False
        held = {os.readlink(entry) for entry in (process / "fd").iterdir()}
        return any(f"socket:[{inode}]" in held for inode in _listening(process))
    except OSError:
        return False


def _can_be_seen(pid: int) -> bool:
    return os.access(_PROC / str(pid) / "fd", os.R_OK)


def _listening(process: Path) -> set[str]:
    """Return the inodes of the listening sockets in a process's network namespace."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in (process / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING:
                    inodes.add(fields[9])
    return inodes
