"""Keeps a child running by the settings that are wanted, and none while none are.

One thread does it all: the kernel ends a child with the thread that has started it.
"""

import logging
import os
import threading
import time
from pathlib import Path
from typing import Final

from secretary.scaler.registrar.child import Child
from secretary.scaler.registrar.private import Private

_log = logging.getLogger(__name__)

LEAVE_S: Final = 15.0
"""For its end; the secretary's own drain timeout is 10 s."""
FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 30.0
STEADY_S: Final = 60.0
"""One that ran for so long is started again as soon as the first time."""
_PREFIX: Final = "secretary-machines-"
_LOOK_S: Final = 0.5
"""How often it is looked whether it still runs."""
_SOON_S: Final = 0.1


class Keeper:
    """`name` is the group's, for the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._wanted: str | None = None
        self._changed = threading.Event()
        self._closing = False
        self._withdraw = True
        self._thread: threading.Thread | None = None

        # For the thread alone.
        self._directory: Private | None = None
        self._child: Child | None = None
        self._began_s = 0.0
        self._told: str | None = None
        self._retry_s = FIRST_RETRY_S
        self._not_before_s = 0.0

    def want(self, settings: str | None) -> None:
        """Let a child run by these settings, or none. Does not wait. From any thread."""
        with self._lock:
            if self._closing or settings == self._wanted:
                return
            self._wanted = settings
            self._changed.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"registrar {self._name}", daemon=True
                )
                self._thread.start()

    def close(self, *, withdraw: bool) -> None:
        """End the child, and wait for that. May be called twice.

        `withdraw` says whether it takes its records along.
        """
        with self._lock:
            self._closing = True
            self._withdraw = withdraw
            self._changed.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            while not self._closing:
                self._changed.wait(self._tend())
                self._changed.clear()  # before it is looked at what has changed
        finally:
            self._end()
            if self._directory is not None:
                self._directory.remove()

    def _tend(self) -> float | None:
        """Bring the child one step on; return when to look again, None for at the next change."""
        wanted = self._wanted
        try:
            if self._child is not None and (status := self._child.status()) is not None:
                self._lost(status)
            if wanted is None:
                self._end()
                return None
            if self._child is None:
                self._start(wanted)
            elif wanted != self._told and not self._tell(self._child, wanted):
                return _SOON_S
        except Exception:  # a full disk, or a bug: what runs is to run on
            _log.exception("the secretary for %s's machines cannot be looked after", self._name)
            return LAST_RETRY_S
        return _LOOK_S

    def _start(self, wanted: str) -> None:
        now_s = time.monotonic()
        if now_s < self._not_before_s:
            return
        self._began_s = now_s
        try:
            self._child = Child(self._write(wanted))
        except OSError as error:
            self._delay(f"cannot be run: {error.strerror or error}")
        else:
            self._told = wanted
            _log.info("a secretary for %s's machines runs here: %s", self._name, self._child.pid)

    def _tell(self, child: Child, wanted: str) -> bool:
        self._write(wanted)
        if child.reread():
            self._told = wanted
            return True
        return False

    def _lost(self, status: int) -> None:
        self._child = None
        self._delay(f"ended with status {status}")

    def _delay(self, what: str) -> None:
        """Start no other for a while, and say so."""
        now_s = time.monotonic()
        if now_s - self._began_s >= STEADY_S:
            self._retry_s = FIRST_RETRY_S
        self._not_before_s = now_s + self._retry_s
        _log.warning(
            "the secretary for %s's machines %s; again in %g s", self._name, what, self._retry_s
        )
        self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.status() is None:
            child.end(LEAVE_S if self._withdraw else 0)
            _log.info("the secretary for %s's machines has ended", self._name)

    def _write(self, text: str) -> Path:
        """Write it as a whole, since somebody may be reading, where nobody else looks."""
        if self._directory is None:
            self._directory = Private(_PREFIX)
        file = self._directory.path / "machines.toml"
        staged = file.with_suffix(".new")
        staged.write_text(text, encoding="utf-8")
        os.replace(staged, file)
        return file
