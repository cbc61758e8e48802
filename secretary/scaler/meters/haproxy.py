"""Requests, sessions and queue, from the statistics of one HAProxy or of several.

The backend has the service's name, as our built-in template gives it. All balancers must answer:
of a load that is known in part only, nobody could say how much is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from secretary.core.errors import MeterError
from secretary.core.machine import Machine
from secretary.core.scaling import Metric
from secretary.scaler.meters.deadline import Deadline, together
from secretary.scaler.meters.rates import Counters
from secretary.scaler.meters.sources import AdminSocket, Page
from secretary.scaler.meters.stats import Server, Stats
from secretary.scaler.samples import Sample

_BACKENDS_AND_SERVERS: Final = 6
_ALL_OF_THEM: Final = -1


@dataclass(frozen=True, slots=True)
class Look:
    """What one balancer said, and when."""

    at_s: float
    stats: Stats


class Balancer:
    """Tells of one backend of one HAProxy."""

    def __init__(self, place: Page | str, backend: str, clock: Callable[[], float]) -> None:
        """`place` is its page of statistics in CSV, or the path of its admin socket."""
        # A command of one line: the name is that of a service, without spaces.
        command = f"show stat {backend} {_BACKENDS_AND_SERVERS} {_ALL_OF_THEM}"
        self._ask = AdminSocket(place, command) if isinstance(place, str) else place
        self._backend = backend
        self._clock = clock
        self.name = self._ask.name

    def __call__(self, deadline: Deadline) -> Look:
        said = self._ask(deadline).decode(errors="replace")
        at_s = self._clock()
        try:
            stats = None if said.startswith("No such proxy") else Stats.read(said, self._backend)
        except ValueError:
            raise MeterError(
                f"{self.name}: answers no statistics in CSV; of a page, give the URL with ;csv at"
                " its end"
            ) from None
        if stats is None:
            raise MeterError(f"{self.name}: has no backend {self._backend}, the service's name")
        return Look(at_s, stats)


class HaproxyMeter:
    """Measures one of the three."""

    def __init__(self, metric: Metric, balancers: Sequence[Balancer], timeout_s: float) -> None:
        self._metric = metric
        self._balancers = balancers
        self._timeout_s = timeout_s
        self._counters: Sequence[Counters | None] = [None] * len(balancers)

    def measure(self, machines: Sequence[Machine], now_s: float) -> Sample:
        looks = together(self._balancers, self._timeout_s)
        found = [[look.stats.of(machine) for look in looks] for machine in machines]
        if self._metric is Metric.QUEUE:
            total = sum(look.stats.queue for look in looks) + sum(
                server.queue for places in found for servers in places for server in servers
            )
            return Sample.of_sum(now_s, total, len(machines))
        rates = self._rates(looks)
        if machines and not any(servers for places in found for servers in places):
            raise MeterError(
                f"{', '.join(each.name for each in self._balancers)}: of {len(machines)} machines"
                " none is a server there: name servers address:port, or let their addresses be"
                " shown (stats show-legends, a socket of level operator)"
            )
        amounts = [self._amount(places, rates) for places in found]
        known = tuple(amount for amount in amounts if amount is not None)
        return Sample(now_s, known, len(machines))

    def close(self) -> None:
        """Nothing is held between two looks."""

    def _rates(self, looks: Sequence[Look]) -> list[Mapping[str, float]]:
        """Return for each balancer the requests a second of its servers, since the last time."""
        before = self._counters
        self._counters = counters = [
            Counters(
                look.at_s,
                {each.name: each.requests for some in look.stats.servers.values() for each in some},
            )
            for look in looks
        ]
        return [now.since(then) for now, then in zip(counters, before, strict=True)]

    def _amount(
        self, places: Sequence[Sequence[Server]], rates: Sequence[Mapping[str, float]]
    ) -> float | None:
        """Return what all balancers give to one machine; None when a part of it is not known."""
        parts = [
            rate.get(server.name) if self._metric is Metric.REQUESTS else float(server.sessions)
            for servers, rate in zip(places, rates, strict=True)
            for server in servers
        ]
        known = [part for part in parts if part is not None]
        return sum(known) if known and len(known) == len(parts) else None
