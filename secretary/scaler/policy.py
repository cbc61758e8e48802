"""How many machines should there be? A list of rules; no clock and no I/O of their own.

    the least   fewer than that: as many at once, whatever is measured
    the most    more than that: as many at once
    no data     nothing measured for a while: nothing is changed
    more        the mean over `up_window_s` is at or above `up_at`: grow in proportion
    fewer       the highest over `down_window_s` is at or below `down_at`: shrink

The first rule that has something to say decides. Loads are held against thresholds per machine
that serves now: what the group carried in all is remembered, so that a machine more or less
counts at once. Follows Kubernetes' HorizontalPodAutoscaler: growing in proportion, machines that
still come counted as there, the highest of a window before shrinking.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from secretary.core.scaling import Metric, PolicySettings
from secretary.scaler.samples import SILENCE_LOOKS, Past, Sample

LEAST_BETWEEN: Final = 30.0
"""Points of percent between the thresholds, below which a warning is due."""
_BOUNDLESS: Final = 1e6
"""No group has so many machines; what is measured may be any number."""
_WORDS: Final = {
    Metric.CPU: ("cpu ", " %"),
    Metric.REQUESTS: ("", " requests/s"),
    Metric.SESSIONS: ("", " sessions"),
    Metric.QUEUE: ("", " requests waiting"),
    Metric.PROMETHEUS: ("", ""),
}
"""What stands before and after a measured value."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How few and how many machines there may be."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Machines:
    """How many serve, and how many are still to come. Those that leave are in neither."""

    serving: int
    coming: int = 0
    unknown: int = 0
    """Of which nobody can say whether they serve: none are made in their place."""

    @property
    def number(self) -> int:
        return self.serving + self.coming


@dataclass(frozen=True, slots=True)
class Decision:
    """How many machines there should be, and why, in words."""

    target: int
    reason: str


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a rule knows. `past` has this look in it already."""

    settings: PolicySettings
    limits: Limits
    machines: Machines
    past: Past
    now_s: float

    def enough(self, load: float) -> int:
        """Return the fewest machines at which each of them stays below `up_at`."""
        return math.floor(min(load / self.settings.up_at, _BOUNDLESS)) + 1

    def stays(self, why: str) -> Decision:
        return Decision(self.machines.number, f"{why}: stays at {self.machines.number}")

    def becomes(self, target: int, why: str) -> Decision:
        return Decision(target, f"{why}: {target}")

    def said(self, load: float, number: int) -> str:
        """Say what a load is for each of so many machines."""
        before, after = _WORDS[self.settings.metric]
        return f"{before}{_number(load / number)}{after}"

    def threshold(self, value: float) -> str:
        return f"{value:g} %" if self.settings.metric is Metric.CPU else f"{value:g}"


def decide(
    settings: PolicySettings,
    limits: Limits,
    machines: Machines,
    samples: Iterable[Sample],
    past: Past,
    now_s: float,
) -> tuple[Decision, Past]:
    """Return how many machines there should be, and what is to be given as `past` next time.

    `samples` are what was measured since the last time; usually one. Times are of any clock that
    never goes back. Additions and removals are taken from `machines` alone, so whoever made them
    and however they went, they count; a decision that was not carried out does not.
    """
    past = past.looked(settings, machines.number, samples, now_s)
    situation = Situation(settings, limits, machines, past, now_s)
    for rule in _RULES:
        if decision := rule(situation):
            return decision, past
    return _steady(situation), past


def too_close(settings: PolicySettings) -> str | None:
    """Return a warning when the thresholds are so close that a group may go up and down often."""
    up_at, down_at = settings.up_at, settings.down_at
    if settings.metric is Metric.CPU:
        if up_at - down_at < LEAST_BETWEEN:
            return (
                f"up_at {up_at:g} and down_at {down_at:g} are less than {LEAST_BETWEEN:g} points"
                " apart: machines may come and go often"
            )
    elif down_at > up_at / 2:
        return (
            f"down_at {down_at:g} is more than half of up_at {up_at:g}:"
            " machines may come and go often"
        )
    return None


def _too_few(at: Situation) -> Decision | None:
    target = at.limits.least - at.machines.unknown
    if at.machines.number >= target:
        return None
    return at.becomes(target, f"{_machines(at.machines.number)}, fewer than min")


def _too_many(at: Situation) -> Decision | None:
    if at.machines.number <= at.limits.most:
        return None
    return at.becomes(at.limits.most, f"{_machines(at.machines.number)}, more than max")


def _no_data(at: Situation) -> Decision | None:
    if at.machines.serving and at.past.loads:
        return None
    if not at.machines.serving:
        return at.stays("no machine serves, so nothing can be measured")
    silence_s = SILENCE_LOOKS * at.settings.interval_s
    return at.stays(f"no data of at least half of the machines in the last {silence_s:g} s")


def _more(at: Situation) -> Decision | None:
    settings, machines = at.settings, at.machines
    loads = at.past.over(settings.up_window_s, at.now_s)
    if loads is None:
        return None
    load = sum(loads) / len(loads)
    if load / machines.serving < settings.up_at:
        return None
    why = (
        f"{at.said(load, machines.serving)} over {settings.up_window_s:g} s"
        f" at {_machines(machines.serving)}, at or above {at.threshold(settings.up_at)}"
    )
    most = at.limits.most - machines.unknown
    if machines.number >= most:
        return at.stays(f"{why}, and more than max there may not be")
    wanted = max(at.enough(load), machines.serving + 1)
    if wanted <= machines.number:
        return at.stays(f"{why}, and {machines.coming} to come will do")
    passed_s = at.now_s - at.past.added_s
    if passed_s < settings.up_cooldown_s:
        return at.stays(f"{why}, but machines were added {passed_s:.0f} s ago")
    return at.becomes(min(wanted, machines.number + settings.up_step, most), why)


def _fewer(at: Situation) -> Decision | None:
    settings, machines, past = at.settings, at.machines, at.past
    loads = past.over(settings.down_window_s, at.now_s)
    if loads is None:
        return None
    load = max(loads)
    if load / machines.serving > settings.down_at:
        return None
    why = (
        f"at most {at.said(load, machines.serving)} over {settings.down_window_s:g} s"
        f" at {_machines(machines.serving)}, at or below {at.threshold(settings.down_at)}"
    )
    if machines.coming:
        return at.stays(f"{why}, but {machines.coming} to come")
    if past.blind:
        return at.stays(f"{why}, but the last look brought no data")
    passed_s = at.now_s - past.changed_s
    if passed_s < settings.down_window_s:
        return at.stays(f"{why}, but their number changed {passed_s:.0f} s ago")
    least = max(1, at.limits.least)
    if machines.number <= least:
        return at.stays(f"{why}, and fewer than min there may not be")
    target = max(least, machines.number - settings.down_step, at.enough(load))
    if target >= machines.number:
        one_less = machines.number - 1
        return at.stays(f"{why}, but {one_less} would be at {at.said(load, one_less)}")
    return at.becomes(target, why)


_RULES: Final[tuple[Callable[[Situation], Decision | None], ...]] = (
    _too_few, _too_many, _no_data, _more, _fewer,
)  # fmt: skip


def _steady(at: Situation) -> Decision:
    settings, past = at.settings, at.past
    last = at.said(past.loads[-1].total, at.machines.serving)
    known_s = at.now_s - past.loads[0].at_s
    if known_s < settings.up_window_s:
        return at.stays(f"{last}, known for {known_s:.0f} s of {settings.up_window_s:g} s")
    return at.stays(f"{last} at {_machines(at.machines.serving)}, nothing to do")


def _machines(number: int) -> str:
    return "1 machine" if number == 1 else f"{number} machines"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
