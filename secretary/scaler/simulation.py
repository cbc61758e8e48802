"""A load run through the policy in virtual time: what machines there would have been, and why.

Pure. Machines take their time to boot and to leave; the load is spread evenly over those that
serve, and one that is full shows no more than that, as real ones do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from secretary.core.scaling import Metric, PolicySettings
from secretary.scaler.policy import Decision, Limits, Machines, decide
from secretary.scaler.samples import Past, Sample
from secretary.scaler.traces import Trace

FULL_CPU: Final = 100.0


@dataclass(frozen=True, slots=True)
class World:
    """How machines behave. `capacity` is how much of the trace's load one of them can carry."""

    capacity: float = 1.0
    boot_s: float = 60.0
    drain_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Frame:
    """How it stood at a time. `load` is in machines that it would fill."""

    at_s: float
    load: float
    serving: int
    coming: int
    leaving: int

    @property
    def is_over(self) -> bool:
        """Whether there was more load than those that served could carry."""
        return self.load > self.serving


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that changed the number of machines."""

    at_s: float
    before: int
    decision: Decision

    @property
    def is_up(self) -> bool:
        return self.decision.target > self.before


@dataclass(frozen=True)
class Run:
    """What came of it: a frame for each look at the group."""

    trace: Trace
    settings: PolicySettings
    limits: Limits
    frames: tuple[Frame, ...]
    changes: tuple[Change, ...]

    @cached_property
    def machine_hours(self) -> float:
        """What is paid for: also for those that boot and that leave."""
        paid = sum(each.serving + each.coming + each.leaving for each in self.frames)
        return paid * self.settings.interval_s / 3600

    @cached_property
    def over_s(self) -> float:
        """For how long there was more load than could be carried."""
        return sum(each.is_over for each in self.frames) * self.settings.interval_s

    @cached_property
    def most(self) -> int:
        """The most machines that served at once."""
        return max(each.serving for each in self.frames)

    @cached_property
    def flaps(self) -> tuple[Change, ...]:
        """Removals that followed an addition within `down_window_s`."""
        found, up_s = [], float("-inf")
        for change in self.changes:
            if change.is_up:
                up_s = change.at_s
            elif change.at_s - up_s <= self.settings.down_window_s:
                found.append(change)
        return tuple(found)


class _Group:
    """The machines of a run. Those that come and those that leave stand with the time when."""

    def __init__(self, world: World, serving: int) -> None:
        self._world = world
        self.serving = serving
        self.coming: list[float] = []
        self.leaving: list[float] = []

    def pass_to(self, now_s: float) -> None:
        there = [each for each in self.coming if each <= now_s]
        self.serving += len(there)
        self.coming = self.coming[len(there) :]
        self.leaving = [each for each in self.leaving if each > now_s]

    def become(self, target: int, now_s: float) -> None:
        more = target - self.serving - len(self.coming)
        if more > 0:
            self.coming += [now_s + self._world.boot_s] * more
        elif more < 0:
            self.serving += more
            self.leaving += [now_s + self._world.drain_s] * -more


def simulate(trace: Trace, settings: PolicySettings, limits: Limits, world: World) -> Run:
    """Run a trace, beginning with as few machines as there may be."""
    frames, changes = [], []
    group, past = _Group(world, max(1, limits.least)), Past()
    for now_s in _looks(trace, settings.interval_s):
        group.pass_to(now_s)
        load = trace.at(now_s) / world.capacity
        machines = Machines(group.serving, len(group.coming))
        sample = Sample(now_s, _measured(load, group.serving, settings, world), group.serving)
        decision, past = decide(settings, limits, machines, (sample,), past, now_s)
        if decision.target != machines.number:
            changes.append(Change(now_s, machines.number, decision))
            group.become(decision.target, now_s)
        frames.append(Frame(now_s, load, group.serving, len(group.coming), len(group.leaving)))
    return Run(trace, settings, limits, tuple(frames), tuple(changes))


def _looks(trace: Trace, interval_s: float) -> Iterator[float]:
    return (step * interval_s for step in range(int(trace.length_s / interval_s) + 1))


def _measured(
    load: float, serving: int, settings: PolicySettings, world: World
) -> tuple[float, ...]:
    """Return what each machine shows, in the metric's unit."""
    full = FULL_CPU if settings.metric is Metric.CPU else world.capacity
    return (full * min(1.0, load / serving),) * serving
