"""What measures the load of a group. Each is a `Meter` (see `scaler/ports.py`)."""

import time
from collections.abc import Callable
from typing import Final

from secretary.core.addresses import without_secrets
from secretary.core.errors import SettingsError
from secretary.core.scaling import Metric, PolicySettings, ScaleGroup
from secretary.scaler.meters.cpu import CpuMeter
from secretary.scaler.meters.haproxy import Balancer, HaproxyMeter
from secretary.scaler.meters.prometheus import PrometheusMeter
from secretary.scaler.meters.sources import Page
from secretary.scaler.ports import Meter, Provider

TIMEOUT_S: Final = 5.0
"""For all that a look asks, together; a provider has its own."""
_BASE: Final = "the base URL of Prometheus, such as http://host:9090"
_PLACES: Final = (
    "URLs of HAProxy's statistics such as http://host:8404/;csv, or paths of its admin socket,"
    " with commas between"
)


def open_meter(
    group: ScaleGroup,
    provider: Provider,
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Meter:
    """Return what measures the group's metric. SettingsError when its source can be none.

    Asks nobody yet. A group that is scaled by hand only is measured by its cpu.
    """
    policy = group.policy or PolicySettings()
    match policy.metric:
        case Metric.CPU:
            return CpuMeter(provider)
        case Metric.PROMETHEUS:
            try:
                return PrometheusMeter(policy.source, policy.query, timeout_s)
            except ValueError as error:
                raise _wrong(group, policy.source, error, _BASE) from error
        case Metric.REQUESTS | Metric.SESSIONS | Metric.QUEUE:
            balancers = [
                Balancer(_place(group, part.strip()), group.service, clock)
                for part in policy.source.split(",")
            ]
            return HaproxyMeter(policy.metric, balancers, timeout_s)


def _place(group: ScaleGroup, text: str) -> Page | str:
    """Return a page, or the path of a socket."""
    if text.startswith("/"):
        return text
    try:
        return Page(text)
    except ValueError as error:
        raise _wrong(group, text, error, _PLACES) from error


def _wrong(group: ScaleGroup, got: str, why: ValueError, allowed: str) -> SettingsError:
    return SettingsError(
        f"group {group.name}: source: got '{without_secrets(got)}', allowed: {allowed}; {why}"
    )
