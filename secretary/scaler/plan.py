"""What the policy would do if what is measured now lasted. Pure: nothing is touched."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from secretary.core.machine import Stock
from secretary.core.scaling import PolicySettings
from secretary.scaler import wishes
from secretary.scaler.policy import Decision, Limits, Machines, decide
from secretary.scaler.samples import Past, Sample


def lasting(
    settings: PolicySettings,
    limits: Limits,
    machines: Machines,
    sample: Sample | None,
    added_s_ago: float,
) -> Decision:
    """Return the decision after the longest window, all through which `sample` was measured.

    `added_s_ago` is when machines were added last.
    """
    whole_s = max(settings.up_window_s, settings.down_window_s)
    past = replace(Past(), added_s=-added_s_ago)
    decision = Decision(machines.number, "")
    for at_s in _looks(settings.interval_s, whole_s):
        samples: Sequence[Sample] = [replace(sample, at_s=at_s)] if sample is not None else []
        decision, past = decide(settings, limits, machines, samples, past, at_s)
    return decision


def added_s_ago(stock: Stock, now: datetime) -> float:
    """Return how long ago the youngest machine was asked for; infinite where there is none."""
    alive = wishes.alive(stock)
    if not alive:
        return float("inf")
    ago_s = (now - max(machine.requested for machine in alive)).total_seconds()
    return max(0.0, ago_s)  # another host's clock may be ahead of ours


def _looks(interval_s: float, whole_s: float) -> Iterator[float]:
    at_s = -whole_s
    while at_s < 0:
        yield at_s
        at_s += interval_s
    yield 0.0
