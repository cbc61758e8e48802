"""The agent, wired: the only place where its loops, its wings, the store and the runtime meet."""

import logging
import re
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec

from secretary.agent.check import Finding, examine
from secretary.agent.discovery import address
from secretary.agent.pages import AgentPages
from secretary.agent.probes import build
from secretary.agent.service import Plan
from secretary.agent.supervisor import LEAST_LEAVE_S, Supervisor
from secretary.core import record
from secretary.core.errors import RecordError, SecretaryError, SettingsError
from secretary.core.instance import HOST_PATTERN, Instance
from secretary.core.settings import (
    EtcdSettings,
    HostPort,
    ProbeSettings,
    RunSettings,
    ServiceSettings,
)
from secretary.runtime import logs
from secretary.runtime.daemon import Daemon
from secretary.runtime.signals import Signals
from secretary.store.etcd import Etcd, check_files
from secretary.store.registry import Registry

_log = logging.getLogger(__name__)


def run(settings: RunSettings, reload: Callable[[], RunSettings]) -> int:
    """Keep the records of `settings` true until SIGTERM or SIGINT; return the exit status.

    SIGHUP calls `reload` and goes on with what it returns; when it raises SettingsError the
    running settings stay.
    """
    logs.configure(settings.log, sys.stderr)
    with Signals() as signals:  # first: an early SIGHUP would end us
        return _Agent(settings, reload).run(signals)


class _Agent:
    """One run of the agent, in the main thread."""

    def __init__(self, settings: RunSettings, reload: Callable[[], RunSettings]) -> None:
        self._settings = settings
        self._reload = reload
        self._id = uuid.uuid4().hex
        self._plans = _plans(settings, self._id)
        self._etcd = Etcd(settings.etcd)
        self._supervisor = Supervisor(Registry(self._etcd))
        self._daemon = Daemon(AgentPages(self._id, self._supervisor), settings.status)

    def run(self, signals: Signals) -> int:
        self._supervisor.start(self._plans)
        self._daemon.run(signals, self._follow)
        self._leave()
        return 0

    def _leave(self) -> None:
        drain_s = max(self._settings.drain_timeout_s, LEAST_LEAVE_S)
        self._etcd.limit(time.monotonic() + drain_s)
        self._supervisor.stop(drain_s)
        self._daemon.close()
        self._etcd.close()
        _log.info("stopped")

    def _follow(self) -> None:
        """Take up the settings as they are now: all of them, or none."""
        try:
            settings = self._reload()
            plans = _plans(settings, self._id)
            check_files(settings.etcd)
            self._daemon.move(settings.status)
        except SettingsError as error:
            _log.error("not reloaded, the running settings stay: %s", error)
        else:
            logs.configure(settings.log, sys.stderr)
            if settings.etcd != self._settings.etcd:
                self._etcd.reconfigure(settings.etcd)
            self._supervisor.follow(plans)
            self._settings = settings
            _log.info("reloaded")


def check(settings: RunSettings) -> Iterator[Finding]:
    """Do what `run` would do, once, and yield what was found. Leaves nothing behind."""

    def plans() -> Iterator[Plan | Finding]:
        for service in settings.services:
            try:
                plan, why = _plan(service, settings.etcd, uuid.uuid4().hex)
            except SecretaryError as error:
                yield Finding(False, "settings", str(error))
                continue
            yield Finding(None, "service", f"{service.name} at {plan.instance.addr}")
            yield Finding(True, "address", f"{plan.instance.ip}: {why}")
            yield plan

    etcd = Etcd(settings.etcd)
    try:
        yield from examine(plans(), Registry(etcd), time.monotonic)
    finally:
        etcd.close()


def _plans(settings: RunSettings, id_: str) -> list[Plan]:
    plans: dict[str, Plan] = {}
    for service in settings.services:
        plan, why = _plan(service, settings.etcd, id_)
        if (other := plans.get(plan.key)) is not None:
            raise SettingsError(
                f"services {other.instance.addr} and {plan.instance.addr} have the same key"
                f" {plan.key}; --key-by ip-port gives each port its own"
            )
        plans[plan.key] = plan
        _log.info(
            "publishing %s (%s)",
            plan.instance.addr,
            why,
            extra={"service": service.name, "key": plan.key},
        )
    return list(plans.values())


def _plan(service: ServiceSettings, etcd: EtcdSettings, id_: str) -> tuple[Plan, str]:
    """Return what a service comes to on this host, and why its address was chosen."""
    chosen = address.choose(service.ip, etcd.endpoints)
    addr = HostPort(chosen.ip, service.port)
    fields = {
        "host": _host_name(),
        "ipv6_addr" if ":" in chosen.ip else "ipv4_addr": chosen.ip,
        "port": service.port,
        "addr": str(addr),
        "name": service.name,
        "id": id_,
        "weight": service.weight,
        "tags": service.tags,
        "meta": dict(service.meta),
        "state": "up",
        "since": datetime.now(UTC).replace(microsecond=0),
        "schema": record.SCHEMA,
    }
    instance = msgspec.convert(fields, Instance)
    try:
        record.encode(instance)
    except RecordError as error:
        raise SettingsError(str(error)) from error
    probe = service.probe or ProbeSettings(target=f"tcp://{addr}", timeout_s=service.timeout_s)
    key = instance.key(service.prefix, service.key_by)
    return Plan(service, instance, key, probe, build(probe)), chosen.why


def _host_name() -> str:
    """Return this host's name, as a record may hold it."""
    name = socket.gethostname()
    if re.search(HOST_PATTERN, name):
        return name
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:63] or "unnamed"
