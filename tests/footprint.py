"""What a test run holds at one moment: threads, processes, descriptors.

Compares two moments and says what stayed. It refuses to clean up: whoever started
something ends it.
"""

import os
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "HOUSE_TEST_RUN"
"""Set in the tests' environment, so that processes that lost their parent are known as ours."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Each thing held, by an identity that is never used again, in words to act on."""

    held: dict[Hashable, str]

    @classmethod
    def now(cls) -> "Footprint":
        return cls({**_threads(), **_processes(), **_descriptors()})

    def beyond(self, before: "Footprint") -> list[str]:
        """What is here and was not there `before`."""
        return [words for key, words in self.held.items() if key not in before.held]


def _threads() -> dict[Hashable, str]:
    return {
        thread: f"thread {thread.name!r} (daemon={thread.daemon})"
        for thread in threading.enumerate()
    }


def _processes() -> dict[Hashable, str]:
    """Descendants, zombies included, and orphans that carry this run's mark."""
    me = psutil.Process()
    mark = os.environ[MARK]
    descendants = set(me.children(recursive=True))
    found: dict[Hashable, str] = {}
    for process in psutil.process_iter():
        try:
            if process in descendants or (process != me and process.environ().get(MARK) == mark):
                found[process.pid, process.create_time()] = _words(process)
        except (psutil.Error, OSError):
            continue  # it ended meanwhile, or belongs to somebody else
    return found


def _words(process: psutil.Process) -> str:
    if process.status() == psutil.STATUS_ZOMBIE:
        return f"process {process.pid} ({process.name()}), ended but never waited for"
    return f"process {process.pid} ({' '.join(process.cmdline())[:120]})"


def _descriptors() -> dict[Hashable, str]:
    """Numbers with what they lead to: a number used again for something else is a new one."""
    found: dict[Hashable, str] = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue  # the one that lists this very directory
        found[int(entry.name), target] = f"descriptor {entry.name} -> {target}"
    return found
