"""What the command line asks of a renderer without running one: once, a rehearsal, a check."""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from secretary.core.drains import DRAINS, Drains
from secretary.core.errors import (
    AccessDenied,
    SecretaryError,
    SettingsError,
    StoreError,
    StoreMisconfigured,
)
from secretary.core.instance import Instance
from secretary.core.settings import HostPort, RenderSettings
from secretary.core.snapshot import Change, Snapshot
from secretary.core.values import printable
from secretary.renderer import sample
from secretary.renderer.ask import ask
from secretary.renderer.freshness import Freshness, Listed, Page, Verdict, judge
from secretary.renderer.guard import Guard
from secretary.renderer.memory import Remembered, memory_of
from secretary.renderer.outputs import output, publisher
from secretary.renderer.proxies import Proxies
from secretary.renderer.publisher import Published
from secretary.renderer.services import Roster, View
from secretary.runtime import logs, status
from secretary.store.etcd import Etcd, check_files
from secretary.store.registry import Registry

_log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""How often a renderer is asked until it has applied what there is."""
ANSWER_S: Final = 2.0
LONGEST_PAGE: Final = 2**24


@dataclass(frozen=True, slots=True)
class Written:
    """What a group came to: the content before and after, by destination."""

    destination: str
    before: bytes
    after: bytes


def once(settings: RenderSettings) -> list[tuple[str, Published | SecretaryError]]:
    """Publish what the directory holds now; return what was done, or why not, for each group."""
    logs.configure(settings.log, sys.stderr)
    memory, proxies = memory_of(settings), Proxies()
    publishers = [
        (group.name, publisher(group, os.environ, proxies, memory.applied))
        for group in settings.groups
    ]
    known = memory.recall(datetime.now(UTC))
    now = _Now.of(settings, known)
    done: list[tuple[str, Published | SecretaryError]] = []
    for name, publishing in publishers:
        for out in publishing.outputs:
            out.destination.tidy()
        if known is not None:
            publishing.begin_with(known.view_of(name))
        try:
            done.append((name, publishing.publish(now.view, datetime.now(UTC))))
        except SecretaryError as error:
            done.append((name, error))
    memory.save(now.known, datetime.now(UTC), last=True)
    return done


def differences(settings: RenderSettings) -> Iterator[Written]:
    """Yield what `once` would write; touch nothing."""
    outputs = [output(t, os.environ) for group in settings.groups for t in group.templates]
    now = _Now.of(settings, memory_of(settings).recall(datetime.now(UTC), only_look=True))
    for out in outputs:
        after = out.template.render(now.view, datetime.now(UTC)).encode()
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
            if not template.services and out.template.looked_at:
                # It asks for services by name: now it gets them.
                out.template.render(sample.view(out.template.looked_at), datetime.now(UTC))
            yield template.dest


def freshness(settings: RenderSettings, max_lag_s: float) -> Freshness:
    """Say whether the renderer that runs here has applied what etcd holds now.

    It gets `max_lag_s` to do so. SettingsError when it has no status server that could be asked.
    """
    if settings.status is None or settings.status.port == 0:
        told = "is off" if settings.status is None else "has port 0"
        raise SettingsError(f"status: {told}, so the renderer cannot be asked; give it an address")
    etcd = Etcd(settings.etcd)
    until_s = time.monotonic() + max_lag_s
    try:
        records, drains = _listed(etcd, f"{settings.prefix}/"), _listed_drains(etcd)
        while True:
            page = _page(settings.status)
            latest = _listed(etcd, f"{settings.prefix}/").revision
            found = (
                Freshness(Verdict.BEHIND, page)
                if isinstance(page, str)
                else judge(records, drains, page, latest)
            )
            if found.verdict is Verdict.FRESH or time.monotonic() >= until_s:
                return found
            threading.Event().wait(LOOK_S)
    except StoreMisconfigured as error:
        return Freshness(Verdict.BEHIND, f"etcd can be read by nobody with these settings: {error}")
    except StoreError as error:
        return Freshness(Verdict.UNKNOWN, str(error))
    finally:
        etcd.close()


def _listed(etcd: Etcd, prefix: str) -> Listed:
    listing = etcd.list(prefix)
    newest = max((entry.mod_revision for entry in listing.entries), default=0)
    return Listed(listing.revision, newest, len(listing.entries))


def _listed_drains(etcd: Etcd) -> Listed | None:
    try:
        return _listed(etcd, f"{DRAINS}/")
    except AccessDenied:
        return None  # nor can the renderer read them: it goes on without


def _page(at: HostPort) -> Page | str:
    """Return what the renderer says of itself, or why there is nothing to be had."""
    answer = status.ask(at, "/status", ANSWER_S, LONGEST_PAGE)
    if answer.status is None:
        return f"the renderer: {answer.text}"
    try:
        return msgspec.json.decode(answer.text, type=Page)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"what answers at {at} is no renderer of this version: {error}"


@dataclass(frozen=True, slots=True)
class _Now:
    """The directory as it stands, with what the guard keeps."""

    known: Remembered
    view: View

    @classmethod
    def of(cls, settings: RenderSettings, before: Remembered | None) -> Self:
        """Look. Raises what `Etcd` raises."""
        etcd = Etcd(settings.etcd)
        try:
            snapshot = Registry(etcd).snapshot(settings.prefix)
            listing = etcd.list(f"{DRAINS}/")
        finally:
            etcd.close()
        changes = [Change(entry.key, entry.value) for entry in listing.entries]
        drains = Drains().apply(listing.revision, changes)
        for key, reason in {**snapshot.rejected, **drains.rejected}.items():
            _log.warning("left out what is at %s: %s", printable(key), printable(reason))
        held = _held(settings, before, snapshot) if before is not None else {}
        view = Roster(n for g in settings.groups for t in g.templates for n in t.services).view(
            snapshot.revision,
            drains.revision,
            {**snapshot.instances, **held},
            held.keys(),
            frozenset(drains.endpoints.values()),
        )
        return cls(Remembered(snapshot, drains, held), view)


def _held(settings: RenderSettings, before: Remembered, after: Snapshot) -> dict[str, Instance]:
    """Return what is kept although its record is gone since, asked once."""
    guard = Guard(settings.guard).resumed(before.snapshot, before.held, 0.0)
    guard = guard.moved(before.snapshot, after, (), 0.0)
    keys = guard.to_ask(0.0)
    if keys:
        answers = ask({key: guard.held[key].lost.record for key in keys})
        guard = guard.answered(answers, 0.0)
    return {key: each.lost.record for key, each in guard.held.items()}
