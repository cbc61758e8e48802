"""A group with all that acts on it, opened: for the verbs, and for the loops of `app.py`."""

import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from secretary.core.scaling import ScaleGroup, ScaleSettings
from secretary.core.settings import LogLevel
from secretary.runtime import logs
from secretary.scaler import wishes
from secretary.scaler.desk import Desk
from secretary.scaler.engine import Engine
from secretary.scaler.meters import open_meter
from secretary.scaler.plan import added_s_ago, lasting
from secretary.scaler.policy import Limits
from secretary.scaler.ports import Meter, Provider
from secretary.scaler.providers import open_provider
from secretary.scaler.providers.digitalocean_reserved import ReservedAddress, open_reserved
from secretary.scaler.tally import counted, measured
from secretary.store.etcd import Etcd
from secretary.store.inventory import Inventory, Lock
from secretary.store.turns import Turns

LOCK_TTL_S: Final = 45
"""How long another scaler waits after this one has died."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What acts on one group."""

    provider: Provider
    engine: Engine
    desk: Desk
    groups: Callable[[], frozenset[str]]
    """Returns the names of all groups that have machines in etcd."""


@contextmanager
def opened(
    settings: ScaleSettings, group: ScaleGroup, environ: Mapping[str, str]
) -> Iterator[Shop]:
    """Open connections of the group's own; they, and its lock, are let go at the end.

    SettingsError, or CloudRefused, when the provider cannot be had.
    """
    with ExitStack() as stack:
        etcd = Etcd(settings.etcd)
        stack.callback(etcd.close)
        provider = open_provider(group, environ)
        stack.callback(provider.close)
        lock = Lock(etcd, group.name, LOCK_TTL_S, (group.min, group.max))
        inventory = Inventory(etcd, group.name, lock)
        turns = Turns(etcd, settings.prefix, group.service, lock)
        name = names(group)
        engine = Engine(group, lock, inventory, turns, provider, _now, name)
        stack.callback(engine.close)
        desk = Desk(group, lock, inventory, turns, provider, engine, _now, name)
        yield Shop(provider, engine, desk, inventory.groups)


@contextmanager
def desk(settings: ScaleSettings, group: ScaleGroup, environ: Mapping[str, str]) -> Iterator[Desk]:
    """Open a group for a verb, which says itself what happens: the log says what is wrong."""
    logs.configure(replace(settings.log, level=LogLevel.WARNING), sys.stderr)
    with opened(settings, group, environ) as shop:
        yield shop.desk


@contextmanager
def plan(
    settings: ScaleSettings, group: ScaleGroup, environ: Mapping[str, str]
) -> Iterator[Iterator[str]]:
    """Open a group to be told, line by line, what would be done with it now, and why."""
    logs.configure(settings.log, sys.stderr)
    with opened(settings, group, environ) as shop:
        meter = open_meter(group, shop.provider)
        try:
            yield _planned(group, shop, meter)
        finally:
            meter.close()


def _planned(group: ScaleGroup, shop: Shop, meter: Meter) -> Iterator[str]:
    report = shop.engine.look()
    for machine, step in report.steps:
        yield f"{machine.id}: {machine.state.value}: {step}"
    yield from report.alarms
    if group.policy is None:
        yield f"{group.name}: by hand only: auto = false"
        return
    machines = counted(report)
    sample = next(iter(measured(meter, report)), None)
    decision = lasting(
        group.policy,
        Limits(group.min, group.max),
        machines,
        sample,
        added_s_ago(report.stock, _now()),
    )
    change = decision.target - machines.number
    does = f"{change:+d}" if change else "nothing to do"
    yield f"{group.name}: {does}, if it lasts: {decision.reason}"


@contextmanager
def reserved_address(
    address: str, environ: Mapping[str, str], token_file: str | None
) -> Iterator[ReservedAddress]:
    """Open an address that DigitalOcean reserves. SettingsError, or CloudRefused without pydo."""
    with closing(open_reserved(address, environ, token_file)) as opened:
        yield opened


def names(group: ScaleGroup) -> Callable[[], str]:
    """Return what gives each machine of a group a name that no other has."""
    prefix = wishes.prefix(group)
    return lambda: f"{prefix}-{secrets.token_hex(4)}"


def _now() -> datetime:
    return datetime.now(UTC)
