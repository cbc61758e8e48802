"""What the kernel tells of a running process: children, title, listening sockets, signals.

Reads /proc, and judges nothing. A process that has ended has none of these; one that may not be
looked into raises PermissionError: what cannot be seen is never taken for not being there.
"""

import contextlib
import enum
import os
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

READY_S: Final = 2.0
"""How long a process may take to be ready for a signal."""
LOOK_S: Final = 0.01
_LISTENING: Final = "0A"
_PROC: Final = Path("/proc")


class Answer(enum.Enum):
    """What a signal does to a process at this moment."""

    HANDLED = "handled"
    HELD = "held"
    """It waits until the process has time for it; or forgets it, as a starting HAProxy does."""
    IGNORED = "ignored"
    ENDED = "ended"
    """The process would be ended, or stopped, by it."""


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    state = _state(_PROC / str(pid))[0]
    if state != "X":
        return state != "Z"
    try:
        os.kill(pid, 0)  # it may only be hidden from us (hidepid)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def children(pid: int) -> frozenset[int]:
    """Return the processes whose parent is `pid`, those apart that have ended."""
    found = set()
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            state, parent = _state(entry)
            if parent == str(pid) and state not in "ZX":
                found.add(int(entry.name))
    return frozenset(found)


def title(pid: int) -> str:
    """Return the words of a process as `ps` shows them. All may read them."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace").strip()


def listeners(pid: int) -> frozenset[tuple[str, str]]:
    """Return its listening TCP sockets, each with the descriptor that leads to it.

    Both are for `holds`. Raises PermissionError.
    """
    process = _PROC / str(pid)
    try:
        listening = _listening(process)
        held = [(str(entry), _target(entry)) for entry in (process / "fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return frozenset()
    return frozenset(pair for pair in held if pair[1] in listening)


def holds(descriptor: str, socket: str) -> bool:
    """Whether a descriptor still leads to this socket, for all that can be seen."""
    try:
        return _target(Path(descriptor)) == socket
    except PermissionError:
        return True


def answer_to(pid: int, number: int) -> Answer | None:
    """Return what the signal would do; None where that cannot be seen, or the process has ended."""
    try:
        lines = (_PROC / str(pid) / "status").read_text(errors="replace").splitlines()
        fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        blocked, ignored, caught = (
            int(fields[name], 16) >> (number - 1) & 1 for name in ("SigBlk", "SigIgn", "SigCgt")
        )
    except (OSError, KeyError, ValueError):
        return None
    if blocked:
        return Answer.HELD
    if ignored:
        return Answer.IGNORED
    return Answer.HANDLED if caught else Answer.ENDED


def ready(pid: int, number: int, but: Collection[Answer]) -> Answer | None:
    """Return what the signal would do, as soon as that is none of `but`, or after READY_S.

    HAProxy's master takes up a configuration as a new program under its old number. Until it is
    through, it holds all signals, and then it forgets them.
    """
    until_s = time.monotonic() + READY_S
    pause = threading.Event()
    while (answer := answer_to(pid, number)) in but and is_running(pid):
        if time.monotonic() >= until_s:
            break
        pause.wait(LOOK_S)
    return answer


def _state(process: Path) -> tuple[str, str]:
    """Return the letter of a process's state, and its parent; X when it has gone."""
    with contextlib.suppress(OSError):
        # They stand after the command's name, which may hold anything.
        state, parent = (process / "stat").read_bytes().rpartition(b")")[2].split()[:2]
        return state.decode(), parent.decode()
    return "X", ""


def _target(descriptor: Path) -> str:
    """Return what a descriptor leads to; nothing when it has been closed."""
    try:
        return os.readlink(descriptor)
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _listening(process: Path) -> set[str]:
    """Return the listening sockets of a process's network namespace, as descriptors name them."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):  # tcp6: there may be no IPv6
            for line in (process / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING:
                    sockets.add(f"socket:[{fields[9]}]")
    return sockets
