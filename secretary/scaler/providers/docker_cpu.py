"""How busy a container is, from what Docker counts. Pure."""

from dataclasses import dataclass
from typing import Final, Self

import msgspec

LEAST_S: Final = 0.5
MOST_S: Final = 60.0
"""Between two looks of which a mean is taken."""
_NS: Final = 1e9
_PERIOD: Final = 100_000
"""Microseconds, where none is given."""


class _Usage(msgspec.Struct):
    total: int = msgspec.field(name="total_usage", default=0)


class _Cpu(msgspec.Struct):
    usage: _Usage = msgspec.field(name="cpu_usage", default_factory=_Usage)
    system: int = msgspec.field(name="system_cpu_usage", default=0)
    cores: int = msgspec.field(name="online_cpus", default=0)


class Stats(msgspec.Struct):
    """What `GET /containers/X/stats?stream=false` tells: two looks, a second apart."""

    now: _Cpu = msgspec.field(name="cpu_stats", default_factory=_Cpu)
    before: _Cpu = msgspec.field(name="precpu_stats", default_factory=_Cpu)


class Limits(msgspec.Struct, rename="pascal"):
    """As much of a container's HostConfig as says how many cores it may use."""

    nano_cpus: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0

    def cores(self, online: int) -> float:
        limit = self.nano_cpus / _NS
        if not limit and self.cpu_quota > 0:
            limit = self.cpu_quota / (self.cpu_period or _PERIOD)
        return min(limit, online) if limit > 0 else online


@dataclass(frozen=True, slots=True)
class Look:
    """What was used, and the time, in seconds since some moment; `cores` are the host's."""

    used_s: float
    at_s: float
    cores: int

    @classmethod
    def of(cls, cpu: _Cpu, cores: int) -> Self | None:
        """Return a look; None for a container that does not run."""
        if not (cores and cpu.system):
            return None
        # The host's own count goes on by one second a second for each of its cores.
        return cls(cpu.usage.total / _NS, cpu.system / _NS / cores, cores)


def looks(stats: Stats) -> tuple[Look | None, Look | None]:
    """Return the look now, and the one shortly before."""
    cores = stats.now.cores  # the earlier one may lack them
    return Look.of(stats.now, cores), Look.of(stats.before, cores)


def percent(before: Look | None, now: Look | None, limits: Limits) -> float | None:
    """Return the mean between two looks, of the cores that the container may use.

    None where they do not tell: too close, too far apart, or with a restart between.
    """
    if before is None or now is None:
        return None
    time_s, used_s = now.at_s - before.at_s, now.used_s - before.used_s
    if not LEAST_S <= time_s <= MOST_S or used_s < 0:
        return None
    return min(100 * used_s / (time_s * limits.cores(now.cores)), 100.0)
