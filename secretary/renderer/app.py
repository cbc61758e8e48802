"""The renderer, wired: the only place where its loop, its wings, the store and the runtime meet."""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import msgspec

from secretary.core.drains import DRAINS, Drains
from secretary.core.errors import SecretaryError
from secretary.core.instance import Instance
from secretary.core.metric import Family
from secretary.core.pages import Verdict
from secretary.core.settings import KeyBy, RenderSettings
from secretary.core.snapshot import Snapshot
from secretary.renderer.ask import ask
from secretary.renderer.group import Group
from secretary.renderer.guard import Guard
from secretary.renderer.herald import Herald
from secretary.renderer.identity import id_of
from secretary.renderer.loop import Loop
from secretary.renderer.memory import Remembered, memory_of
from secretary.renderer.outputs import publisher
from secretary.renderer.pages import RendererPages, applied, drains_applied
from secretary.renderer.proxies import Proxies
from secretary.renderer.publisher import Publisher
from secretary.renderer.services import Roster
from secretary.runtime import logs
from secretary.runtime.daemon import Daemon
from secretary.runtime.signals import Signals
from secretary.store.board import Board
from secretary.store.etcd import Etcd
from secretary.store.follow import Following
from secretary.store.registry import RENDERERS

_log = logging.getLogger(__name__)

BOARD_TTL_S: Final = 15
STOP_S: Final = 5.0
LAST_CALLS_S: Final = 1.5
"""What etcd gets to answer us at the end."""


def run(settings: RenderSettings, reload: Callable[[], RenderSettings]) -> int:
    """Keep the proxies right until SIGTERM or SIGINT; return the exit status.

    SIGHUP calls `reload` and goes on with what it returns; when that, or a template, is wrong,
    the running settings stay.
    """
    logs.configure(settings.log, sys.stderr)
    with Signals() as signals:  # first: an early SIGHUP would end us
        return _Renderer(settings, reload).run(signals)


class _Renderer:
    """One run, in the main thread. The pages are those of the engine that runs now."""

    def __init__(self, settings: RenderSettings, reload: Callable[[], RenderSettings]) -> None:
        self._reload = reload
        self._engine = _Engine(settings)
        self._daemon = Daemon(self, settings.status)

    def run(self, signals: Signals) -> int:
        self._engine.start()
        self._daemon.run(signals, self._follow)
        self._daemon.stopping(self._engine.stop_s)
        self._engine.stop()
        self._daemon.close()
        _log.info("stopped")
        return 0

    # What the status server asks

    def live(self) -> Verdict:
        return self._engine.pages.live()

    def ready(self) -> Verdict:
        return self._engine.pages.ready()

    def status(self) -> object:
        return self._engine.pages.status()

    def metrics(self) -> Sequence[Family]:
        return self._engine.pages.metrics()

    def line(self) -> str:
        return self._engine.pages.line()

    # What the main thread does

    def _follow(self) -> None:
        """Take up the settings as they are now: all of them, or none."""
        before = self._engine
        try:
            settings = self._reload()
            fresh = _Engine(settings)
            self._daemon.move(settings.status)
        except SecretaryError as error:
            _log.error("not reloaded, the running settings stay: %s", error)
            return
        logs.configure(settings.log, sys.stderr)
        before.stop(for_now=fresh.id == before.id)
        self._engine = fresh
        fresh.start(before)
        _log.info("reloaded")


class _Engine:
    """All that runs under one set of settings."""

    def __init__(self, settings: RenderSettings) -> None:
        self.settings = settings
        self.id = id_of(settings)
        self._memory = memory_of(settings)
        self._seen = 0
        self._etcds = [Etcd(settings.etcd) for _ in range(3)]
        for_records, for_drains, for_board = self._etcds
        self._proxies = Proxies()
        self._groups = [
            Group(
                group.name,
                publisher(group, os.environ, self._proxies, self._memory.applied),
                settings.pace,
                self._tell,
            )
            for group in settings.groups
        ]
        self._loop = Loop(
            Following(
                for_records,
                settings.prefix,
                Snapshot(prefix=settings.prefix),
                resync_s=settings.resync_s,
            ),
            Following(for_drains, DRAINS, Drains(), resync_s=settings.resync_s),
            Guard(settings.guard),
            self._groups,
            Roster(
                name for group in settings.groups for t in group.templates for name in t.services
            ),
            ask=ask,
            resync_s=settings.resync_s,
            on_view=self._viewed,
            save=self._save,
        )
        self._herald = Herald(Board(for_board, f"{RENDERERS}{self.id}", BOARD_TTL_S), self._report)
        deadline_s = max(g.reload_timeout_s + g.check_timeout_s for g in settings.groups)
        self.pages = RendererPages(self.id, self._loop, self._groups, self._herald, deadline_s)

    def start(self, before: "_Engine | None" = None) -> None:
        """Begin, with what is known from an engine that has ended, or from the last run."""
        if before is not None:
            known: Remembered | None = before._known()
            self._memory.applied.update(before._memory.applied)
        else:
            known = self._memory.recall(datetime.now(UTC))
        for group in self._groups:
            for out in group.publisher.outputs:
                out.destination.tidy()
            if known is not None:
                group.publisher.begin_with(known.view_of(group.name))
            group.start()
        self._loop.start(known)
        self._herald.start()

    @property
    def stop_s(self) -> float:
        """How long a stop takes at the worst: each group in turn may have a command to end."""
        return STOP_S * (1 + len(self._groups))

    def stop(self, *, for_now: bool = False) -> None:
        """End it all; `for_now` leaves our word in the directory for who comes after us."""
        for etcd in self._etcds:
            etcd.limit(time.monotonic() + LAST_CALLS_S)
        self._herald.end(keep=for_now)
        self._loop.stop()
        self._proxies.stop()
        for group in self._groups:
            group.stop(STOP_S)
        self._herald.stop()
        self._save(last=True)
        for etcd in self._etcds:
            etcd.close()

    def _not_followed(self) -> set[str]:
        """Return the services that the proxies do not work by as the directory has them.

        Also those of which the guard keeps instances: one that has left may be among them.
        """
        held = self._loop.guard.held.values()
        kept = {each.lost.record.name for each in held if not each.floor}
        return kept | {name for group in self._groups for name in group.publisher.quarantined}

    def _known(self) -> Remembered:
        return replace(
            self._loop.known,
            good={group.name: self._good_records(group.publisher) for group in self._groups},
        )

    def _good_records(self, publisher: Publisher) -> dict[str, Instance]:
        """Return the records by which it goes on with the services it has in quarantine."""
        good, names = publisher.good, tuple(publisher.quarantined)
        if good is None:
            return {}
        return {
            server.record.key(self.settings.prefix, KeyBy.IP_PORT): server.record
            for name in names
            for server in good.services.get(name, ())
        }

    def _save(self, *, last: bool = False) -> None:
        if (heard_at := self._loop.heard_at) is not None:
            at = heard_at if self._loop.away else datetime.now(UTC)
            self._memory.save(self._known(), at, last=last)

    def _tell(self) -> None:
        self._herald.tell()

    def _viewed(self) -> None:
        """Say that we are there before anything is applied, and again when etcd was made anew."""
        before, self._seen = self._seen, self._loop.snapshot.revision
        if self._seen < before:
            self._herald.look()  # our word went with the old one
        elif all(group.applied is None for group in self._groups):
            self._herald.tell()  # we must be waited for already

    def _report(self) -> bytes | None:
        """Return what others may know; None before there is anything."""
        if self._loop.view is None:
            return None
        told = [g.applied_at for g in self._groups if g.applied_at is not None]
        return msgspec.json.encode(
            {
                "host": socket.gethostname(),
                "prefix": self.settings.prefix,
                "applied": applied(self._groups, self._loop),
                "seen": self._loop.view.revision,
                "drain_applied": drains_applied(self._groups, self._loop),
                "time": max(told, default=None),
                "templates": {
                    str(out.destination.path): self._memory.applied.get(str(out.destination.path))
                    for group in self._groups
                    for out in group.publisher.outputs
                },
                "quarantined": sorted(self._not_followed()),
            }
        )
