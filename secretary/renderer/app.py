"""The renderer, wired: the only place where its loop, its wings, the store and the runtime meet."""

import hashlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from secretary.core.drains import DRAINS, Drains
from secretary.core.errors import SecretaryError, SettingsError
from secretary.core.metric import Family
from secretary.core.pages import Verdict
from secretary.core.settings import GroupSettings, HostPort, RenderSettings
from secretary.core.snapshot import Change, Snapshot
from secretary.renderer import sample
from secretary.renderer.ask import ask
from secretary.renderer.group import Group
from secretary.renderer.guard import Guard
from secretary.renderer.herald import Herald
from secretary.renderer.loop import Loop
from secretary.renderer.memory import Memory, default_path
from secretary.renderer.outputs import output
from secretary.renderer.pages import RendererPages, applied, drains_applied
from secretary.renderer.proxies import Proxies
from secretary.renderer.publisher import Output, Published, Publisher
from secretary.renderer.services import Roster, View
from secretary.runtime import logs, systemd
from secretary.runtime.signals import Request, Signals
from secretary.runtime.status import StatusServer
from secretary.store.board import Board
from secretary.store.etcd import Etcd, check_files
from secretary.store.follow import Following
from secretary.store.registry import RENDERERS, Registry

_log = logging.getLogger(__name__)

TICK_S: Final = 5.0
BOARD_TTL_S: Final = 15
STOP_S: Final = 5.0


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
        self._status = self._listen(settings.status)
        self._systemd = systemd.notifier(os.environ)
        self._said = ""

    def run(self, signals: Signals) -> int:
        self._engine.start()
        self._systemd.ready()
        while Request.STOP not in (requests := signals.wait(self._tick_s())):
            try:
                if Request.RELOAD in requests:
                    self._systemd.reloading()
                    try:
                        self._follow()
                    finally:
                        self._systemd.ready()
                self._tell_systemd()
            except Exception:
                _log.exception("unforeseen; going on")
        self._systemd.stopping()
        self._engine.stop()
        if self._status is not None:
            self._status.stop()
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

    # What the main thread does

    def _follow(self) -> None:
        """Take up the settings as they are now: all of them, or none."""
        before = self._engine
        try:
            settings = self._reload()
            fresh = _Engine(settings, before)
            if settings.status != before.settings.status:
                self._listen_instead(settings.status)
        except SecretaryError as error:
            _log.error("not reloaded, the running settings stay: %s", error)
            return
        logs.configure(settings.log, sys.stderr)
        before.stop(for_now=fresh.id == before.id)
        self._engine = fresh
        fresh.start()
        _log.info("reloaded")

    def _listen(self, at: HostPort | None) -> StatusServer | None:
        if at is None:
            return None
        server = StatusServer(at, self)
        server.start()
        _log.info("status pages at http://%s", server.address)
        return server

    def _listen_instead(self, at: HostPort | None) -> None:
        """Move the status server, or leave it where it is and raise SettingsError."""
        before = self._status
        if before is not None:
            before.stop()  # first: the port may be the same, on another address
        try:
            self._status = self._listen(at)
        except SettingsError:
            if before is not None:
                before.start()
            raise

    def _tick_s(self) -> float:
        watchdog_s = self._systemd.watchdog_interval_s
        return TICK_S if watchdog_s is None else min(TICK_S, watchdog_s)

    def _tell_systemd(self) -> None:
        if self.live().ok:
            self._systemd.watchdog()
        line = self._engine.pages.line()
        if line != self._said:
            self._systemd.status(line)
            self._said = line


class _Engine:
    """All that runs under one set of settings; `before` is what ran until now."""

    def __init__(self, settings: RenderSettings, before: "_Engine | None" = None) -> None:
        self.settings = settings
        self.id = settings.id or _id(settings)
        self._memory = _memory(settings, self.id)
        if before is not None:
            self._memory.applied.update(before._memory.applied)
        self._etcds = [Etcd(settings.etcd) for _ in range(3)]
        for_records, for_drains, for_board = self._etcds
        self._proxies = Proxies()
        self._groups = [
            Group(
                group.name,
                _publisher(group, self._memory, self._proxies),
                settings.pace,
                self._tell,
            )
            for group in settings.groups
        ]
        self._loop = Loop(
            Following(for_records, settings.prefix, Snapshot(), resync_s=settings.resync_s),
            Following(for_drains, DRAINS, Drains(), resync_s=settings.resync_s),
            Guard(settings.guard),
            self._groups,
            self._memory,
            Roster(
                name for group in settings.groups for t in group.templates for name in t.services
            ),
            ask=ask,
            resync_s=settings.resync_s,
            on_view=self._tell_first,
        )
        self._herald = Herald(Board(for_board, f"{RENDERERS}{self.id}", BOARD_TTL_S), self._report)
        deadline_s = max(g.reload_timeout_s + g.check_timeout_s for g in settings.groups)
        self.pages = RendererPages(self.id, self._loop, self._groups, self._herald, deadline_s)

    def start(self) -> None:
        for group in self._groups:
            for out in group.publisher.outputs:
                out.destination.tidy()
            group.start()
        self._loop.start()
        self._herald.start()

    def stop(self, *, for_now: bool = False) -> None:
        """End it all; `for_now` leaves our word in the directory for who comes after us."""
        self._herald.stop(keep=for_now)
        self._loop.stop()
        self._proxies.stop()
        for group in self._groups:
            group.stop(STOP_S)
        for etcd in self._etcds:
            etcd.close()

    def _tell(self) -> None:
        self._herald.tell()

    def _tell_first(self) -> None:
        """Say that we are there before anything is applied: we must be waited for already."""
        if all(group.applied is None for group in self._groups):
            self._herald.tell()

    def _report(self) -> bytes | None:
        """Return what others may know; None before there is anything."""
        if self._loop.view is None:
            return None
        told = [g.applied_at for g in self._groups if g.applied_at is not None]
        return msgspec.json.encode(
            {
                "host": socket.gethostname(),
                "prefix": self.settings.prefix,
                "applied": applied(self._groups),
                "seen": self._loop.view.revision,
                "drain_applied": drains_applied(self._groups),
                "time": max(told, default=None),
                "templates": {
                    str(out.destination.path): self._memory.applied.get(str(out.destination.path))
                    for group in self._groups
                    for out in group.publisher.outputs
                },
                "quarantined": sorted(
                    {name for group in self._groups for name in group.publisher.quarantined}
                ),
            }
        )


# Once


@dataclass(frozen=True, slots=True)
class Written:
    """What a group came to: the content before and after, by destination."""

    destination: str
    before: bytes
    after: bytes


def once(settings: RenderSettings) -> Iterator[tuple[str, Published]]:
    """Publish what the directory holds now, group by group; yield what was done.

    Raises the SecretaryError of the first group that fails, when all have had their turn.
    """
    logs.configure(settings.log, sys.stderr)
    memory = _memory(settings, settings.id or _id(settings))
    made = Proxies()
    publishers = [(group.name, _publisher(group, memory, made)) for group in settings.groups]
    memory.recall(datetime.now(UTC))
    snapshot, view = _now(settings)
    failed: SecretaryError | None = None
    for name, publisher in publishers:
        try:
            yield name, publisher.publish(view, datetime.now(UTC))
        except SecretaryError as error:
            failed = failed or error
    memory.save(snapshot, datetime.now(UTC))
    if failed is not None:
        raise failed


def differences(settings: RenderSettings) -> Iterator[Written]:
    """Yield what `once` would write; touch nothing."""
    outputs = _outputs(settings)
    _, view = _now(settings)
    for out in outputs:
        after = out.template.render(view, datetime.now(UTC)).encode()
        before = out.destination.read() or b""
        if before != after:
            yield Written(str(out.destination.path), before, after)


def compile_all(settings: RenderSettings) -> Iterator[str]:
    """Render every template with sample data; yield the destinations that passed."""
    check_files(settings.etcd)
    for group in settings.groups:
        for template in group.templates:
            out = output(template, os.environ)
            out.template.render(sample.view(template.services), datetime.now(UTC))
            yield template.dest


def _now(settings: RenderSettings) -> tuple[Snapshot, View]:
    """Return the directory as it stands. Raises what `Etcd` raises."""
    etcd = Etcd(settings.etcd)
    try:
        snapshot = Registry(etcd).snapshot(settings.prefix)
        listing = etcd.list(f"{DRAINS}/")
    finally:
        etcd.close()
    changes = [Change(entry.key, entry.value) for entry in listing.entries]
    drains = Drains().apply(listing.revision, changes)
    for key, reason in {**snapshot.rejected, **drains.rejected}.items():
        _log.warning("left out what is at %s: %s", key, reason)
    roster = Roster(n for g in settings.groups for t in g.templates for n in t.services)
    endpoints = frozenset(drains.endpoints.values())
    return snapshot, roster.view(
        snapshot.revision, drains.revision, snapshot.instances, (), endpoints
    )


# Wiring


def _outputs(settings: RenderSettings) -> list[Output]:
    return [output(t, os.environ) for group in settings.groups for t in group.templates]


def _publisher(group: GroupSettings, memory: Memory, made: Proxies) -> Publisher:
    return Publisher(
        [output(template, os.environ) for template in group.templates],
        check=made.check,
        check_timeout_s=group.check_timeout_s,
        applied=memory.applied,
        reload=made.reload(group),
        runtime=made.runtime(group),
    )


def _memory(settings: RenderSettings, id_: str) -> Memory:
    path = settings.state or default_path(id_)
    return Memory(None if path == "off" else path, settings.prefix)


def _id(settings: RenderSettings) -> str:
    """Name this renderer the same at each start, and otherwise than its neighbours."""
    destinations = "\0".join(sorted(t.dest for g in settings.groups for t in g.templates))
    digest = hashlib.sha256(destinations.encode()).hexdigest()[:8]
    host = "".join(c if c.isascii() and c.isalnum() else "-" for c in socket.gethostname())
    return f"{host.strip('-')[:50] or 'unnamed'}-{digest}"
