"""The agent, wired: the only place where its loops, its wings, the store and the runtime meet."""

import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from secretary.agent import probes
from secretary.agent.check import Finding, examine
from secretary.agent.contained import Contained
from secretary.agent.discovery import address
from secretary.agent.pages import AgentPages
from secretary.agent.planner import Planner
from secretary.agent.ports import Chosen, Probe
from secretary.agent.service import Plan
from secretary.agent.supervisor import LEAST_LEAVE_S, Supervisor
from secretary.core.container import Container, Health
from secretary.core.errors import (
    AddressPending,
    DockerError,
    DockerRefused,
    SecretaryError,
    SettingsError,
)
from secretary.core.settings import ProbeSettings, RunSettings
from secretary.core.target import DOCKER
from secretary.runtime import logs, systemd
from secretary.runtime.daemon import Daemon
from secretary.runtime.signals import Request, Signals
from secretary.store.etcd import Etcd, check_files
from secretary.store.registry import Registry

if TYPE_CHECKING:
    from secretary.agent.discovery.roster import Roster

_log = logging.getLogger(__name__)

ADDRESS_S: Final = 1.0
"""How often to look whether there is an address to publish."""
DOCKER_JOIN_S: Final = 0.5
_NOBODY: Final[frozenset[str]] = frozenset()
_SELF: Final = "self"


def run(settings: RunSettings, reload: Callable[[], RunSettings]) -> int:
    """Keep the records of `settings` true until SIGTERM or SIGINT; return the exit status.

    SIGHUP calls `reload` and goes on with what it returns; when it raises SettingsError the
    running settings stay. A network that is not up yet is waited for.
    """
    logs.configure(settings.log, sys.stderr)
    with Signals() as signals:  # first: an early SIGHUP would end us
        agent = _begun(settings, reload, signals)
        return agent.run(signals) if agent is not None else 0


def _begun(
    settings: RunSettings, reload: Callable[[], RunSettings], signals: Signals
) -> "_Agent | None":
    """Return the agent when there is an address to publish; None when we are to stop before."""
    said = ""
    told = systemd.notifier(os.environ)
    while True:
        try:
            return _Agent(settings, reload)
        except AddressPending as error:
            if str(error) != said:
                said = str(error)
                _log.warning("%s; waiting for it", said)
                told.ready()  # it runs: what waits for it, and the watchdog, are to know
                told.status(said)
        told.watchdog()
        requests = signals.wait(ADDRESS_S)
        if Request.STOP in requests:
            return None
        if Request.RELOAD in requests:
            try:
                settings = reload()
            except SettingsError as error:
                _log.error("%s; waiting on with what was asked for before", error)


class _Agent:
    """One run of the agent, in the main thread."""

    def __init__(self, settings: RunSettings, reload: Callable[[], RunSettings]) -> None:
        self._settings = settings = _with_own_container(settings)
        self._reload = reload
        self._id = uuid.uuid4().hex
        self._roster: Roster | None = None
        planner = self._planner(settings)
        fixed = planner.fixed()
        self._etcd = Etcd(settings.etcd)
        self._supervisor = Supervisor(Registry(self._etcd))
        self._contained = Contained(self._supervisor, planner, fixed)
        self._watch(self._new_roster(settings))
        pages = AgentPages(self._id, self._supervisor, self._contained)
        self._daemon = Daemon(pages, settings.status)

    def run(self, signals: Signals) -> int:
        self._contained.start()
        if self._roster is not None:
            self._roster.start()
        self._daemon.run(signals, self._follow)
        self._leave()
        return 0

    def _leave(self) -> None:
        drain_s = max(self._settings.drain_timeout_s, LEAST_LEAVE_S)
        self._daemon.stopping(drain_s)
        self._etcd.limit(time.monotonic() + drain_s)
        self._watch(None)
        self._contained.stop(drain_s)
        self._daemon.close()
        self._etcd.close()
        _log.info("stopped")

    def _follow(self) -> None:
        """Take up the settings as they are now: all of them, or none."""
        try:
            settings = _with_own_container(self._reload())
            planner = self._planner(settings)
            fixed = planner.fixed()
            check_files(settings.etcd)
            roster = self._new_roster(settings)
            try:
                self._daemon.move(settings.status)
            except SettingsError:
                if roster is not None:
                    roster.stop(DOCKER_JOIN_S)
                raise
        except SettingsError as error:
            _log.error("not reloaded, the running settings stay: %s", error)
        else:
            logs.configure(settings.log, sys.stderr)
            if settings.etcd != self._settings.etcd:
                self._etcd.reconfigure(settings.etcd)
            refs = _refs(settings)
            if roster is not None or refs == _NOBODY:
                self._watch(roster)
            elif self._roster is not None:
                self._roster.follow(refs)
            self._contained.follow(planner, fixed)
            if roster is not None:
                roster.start()
            self._settings = settings
            _log.info("reloaded")

    def _planner(self, settings: RunSettings) -> Planner:
        def health(container: str) -> Health | None:
            return self._roster.health(container) if self._roster is not None else None

        return _planner(settings, self._id, health)

    def _new_roster(self, settings: RunSettings) -> "Roster | None":
        """Return who is to watch Docker, if that is asked for and nobody does yet.

        SettingsError when Docker lets us not; while it does not answer it is waited for.
        """
        refs = _refs(settings)
        if refs == _NOBODY or self._roster is not None:
            return None
        roster = _roster(refs, self._contained.changed, self._supervisor.look)
        try:
            roster.knock()
        except DockerRefused as error:
            roster.stop(DOCKER_JOIN_S)
            raise SettingsError(str(error)) from error
        except DockerError as error:
            _log.warning("%s; trying again until it answers", error)
        return roster

    def _watch(self, roster: "Roster | None") -> None:
        """Let this one watch from now on, if any; whoever did so far ends."""
        if self._roster is not None:
            self._roster.stop(DOCKER_JOIN_S)
        self._contained.containers = self._roster = roster


def check(settings: RunSettings) -> Iterator[Finding]:
    """Do what `run` would do, once, and yield what was found. Leaves nothing behind."""
    settings = _with_own_container(settings)
    roster: Roster | None = None

    def health(container: str) -> Health | None:
        return roster.health(container) if roster is not None else None

    planner = _planner(settings, uuid.uuid4().hex, health)

    def plans() -> Iterator[Plan | Finding]:
        for service in settings.services:
            try:
                plan = planner.plan(service)
            except SecretaryError as error:
                yield Finding(False, "settings", str(error))
                continue
            yield Finding(None, "service", f"{service.name} at {plan.instance.addr}")
            yield Finding(True, "address", f"{plan.instance.ip}: {plan.why}")
            yield plan
        if roster is None:
            return
        try:
            roster.look()
        except DockerError as error:
            yield Finding(False, "docker", str(error))
            return
        yield Finding(True, "docker", f"answers; running: {len(roster.running)}")
        contained, faults = planner.contained(roster.running)
        for fault in faults:
            yield Finding(False, "container", fault.text.removeprefix("container "))
        for plan in contained:
            of = f"container {plan.container.name}" if plan.container is not None else ""
            at = f"{plan.instance.name} at {plan.instance.addr}"
            yield Finding(None, "service", f"{at}, {of}")
            yield plan

    etcd = Etcd(settings.etcd)
    try:
        if (refs := _refs(settings)) != _NOBODY:
            roster = _roster(refs, lambda: None, lambda _: None)
        yield from examine(plans(), Registry(etcd), time.monotonic)
    finally:
        if roster is not None:
            roster.stop(DOCKER_JOIN_S)
        etcd.close()


def _planner(settings: RunSettings, id_: str, health: Callable[[str], Health | None]) -> Planner:
    def choose(spec: str) -> Chosen:
        return address.choose(spec, settings.etcd.endpoints)

    def make_probe(of: ProbeSettings, container: Container | None) -> Probe:
        if container is None or of.target != DOCKER:
            return probes.build(of)
        from secretary.agent.discovery.docker_health import HealthProbe

        return HealthProbe(partial(health, container.id))

    return Planner(settings, id_, choose, make_probe)


def _roster(
    refs: frozenset[str] | None, tell: Callable[[], None], tell_health: Callable[[str], None]
) -> "Roster":
    """Return who watches Docker, which is imported here: most agents have no use for it."""
    from secretary.agent.discovery.docker import Docker
    from secretary.agent.discovery.roster import Roster

    try:
        roster = Roster(Docker(os.environ), tell, tell_health)
    except DockerRefused as error:
        raise SettingsError(str(error)) from error
    roster.follow(refs)
    return roster


def _refs(settings: RunSettings | None) -> frozenset[str] | None:
    """Return which containers are asked for; None for all, _NOBODY for none."""
    refs = {rules.ref for rules in settings.containers} if settings is not None else set()
    return None if None in refs else frozenset(ref for ref in refs if ref is not None)


def _with_own_container(settings: RunSettings) -> RunSettings:
    """Put in place of `self` the container that it means. SettingsError when we are in none."""
    if all(rules.ref != _SELF for rules in settings.containers):
        return settings
    from secretary.agent.discovery.own_container import shared

    own = shared()
    containers = tuple(
        msgspec.structs.replace(rules, ref=own) if rules.ref == _SELF else rules
        for rules in settings.containers
    )
    return msgspec.structs.replace(settings, containers=containers)
