"""What a program that stays does in its main thread: signals, the status server, systemd.

What the program itself does, and how it takes up new settings, is its own affair.
"""

import logging
import os
from collections.abc import Callable
from typing import Final, Protocol

from secretary.core.errors import SettingsError
from secretary.core.pages import Pages
from secretary.core.settings import HostPort
from secretary.runtime import systemd
from secretary.runtime.signals import Request, Signals
from secretary.runtime.status import StatusServer

_log = logging.getLogger(__name__)

TICK_S: Final = 5.0
"""How often the status line for systemd is looked at."""
STOP_MARGIN_S: Final = 5.0
"""What a process needs beyond the deadline that it has set itself for its work."""


class TellingPages(Pages, Protocol):
    """Pages, and the whole of them in a few words, for `systemctl status`."""

    def line(self) -> str: ...


class Daemon:
    """Serves `pages` at `status`, if at all, from the moment it is made until `close`."""

    def __init__(self, pages: TellingPages, status: HostPort | None) -> None:
        """SettingsError when the address cannot be had."""
        self._pages = pages
        self._systemd = systemd.notifier(os.environ)
        self._said = ""
        self._at: HostPort | None = None
        self._server: StatusServer | None = None
        self.move(status)

    def run(self, signals: Signals, reload: Callable[[], None]) -> None:
        """Return when somebody asks us to stop; `reload` is called when they ask for that."""
        self._systemd.ready()
        tick_s = 0.0  # the first line is told at once
        while Request.STOP not in (requests := signals.wait(tick_s)):
            tick_s = self._tick_s()
            try:
                if Request.RELOAD in requests:
                    self._systemd.reloading()
                    try:
                        reload()
                    finally:
                        self._systemd.ready()
                self._tell_systemd()
            except Exception:
                _log.exception("unforeseen; going on")

    def stopping(self, within_s: float) -> None:
        """Say that the stop, which has begun, may take so long."""
        self._systemd.stopping(within_s + STOP_MARGIN_S)

    def move(self, status: HostPort | None) -> None:
        """Serve there from now on, or stay and raise SettingsError."""
        if status == self._at and self._server is not None:
            return
        before = self._server
        if before is not None:
            before.stop()  # first: the port may be the same, on another address
        try:
            self._server = self._listen(status)
        except SettingsError:
            if before is not None:
                before.start()
            raise
        self._at = status

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()

    def _listen(self, at: HostPort | None) -> StatusServer | None:
        if at is None:
            return None
        server = StatusServer(at, self._pages)
        server.start()
        _log.info("status pages at http://%s", server.address)
        return server

    def _tick_s(self) -> float:
        watchdog_s = self._systemd.watchdog_interval_s
        return TICK_S if watchdog_s is None else min(TICK_S, watchdog_s)

    def _tell_systemd(self) -> None:
        if self._pages.live().ok:
            self._systemd.watchdog()
        line = self._pages.line()
        if line != self._said:
            self._systemd.status(line)
            self._said = line
