"""What the policy never does, whatever is measured and whatever becomes of the machines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, repeat

from hypothesis import example, given, settings
from hypothesis import strategies as st

from secretary.core.scaling import PolicySettings
from secretary.scaler.policy import Decision, Limits, Machines, decide
from secretary.scaler.samples import Past, Sample
from secretary.scaler.simulation import World, simulate
from secretary.scaler.traces import Trace

INTERVAL_S = 10.0


@st.composite
def policies(draw: st.DrawFn) -> PolicySettings:
    up_at = draw(st.sampled_from([21.0, 70.0]) | st.floats(1, 100))
    return PolicySettings(
        up_at=up_at,
        down_at=up_at * draw(st.sampled_from([0.0, 0.1, 0.5, 0.99])),
        interval_s=INTERVAL_S,
        up_window_s=draw(st.sampled_from([1.0, 10.0, 30.0, 60.0])),
        up_cooldown_s=draw(st.sampled_from([0.0, 20.0, 60.0])),
        down_window_s=draw(st.sampled_from([1.0, 30.0, 60.0, 120.0])),
        up_step=draw(st.integers(1, 4)),
        down_step=draw(st.integers(1, 4)),
    )


limits = st.builds(
    lambda least, more: Limits(least, max(1, least + more)),
    st.integers(0, 3),
    st.sampled_from([0, 2, 8, 8, 8]),
)


@dataclass(frozen=True)
class Look:
    machines: Machines
    values: tuple[float, ...]
    """Of the machines, as many as could be measured."""
    gap_s: float = INTERVAL_S
    """Since the look before."""


def looks_of(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[Look]]:
    """Looks at machines that change all the time, and at some that are left alone for a while."""
    machines = st.builds(Machines, st.integers(0, 8), st.sampled_from([0, 0, 0, 1, 3]))
    measured = st.lists(values, max_size=8).map(tuple)
    gaps = st.sampled_from([INTERVAL_S, INTERVAL_S, 1.0, 25.0, 31.0, 500.0])
    wild = st.lists(st.builds(Look, machines, measured, gaps), max_size=40)
    lengths = st.sampled_from([1, 5, 9, 14])
    events = st.sampled_from(["", "", "high", "gone", "pause"])
    calm = st.builds(
        _calm, st.sampled_from([0.0, 0.0, 1.0, 20.0, 20.0, 100.0]) | values,
        st.lists(st.tuples(machines, lengths, events), min_size=1, max_size=5),
    )  # fmt: skip
    return wild | calm | calm | st.tuples(wild, calm).map(lambda both: [*both[0], *both[1]])


def _calm(value: float, parts: list[tuple[Machines, int, str]]) -> list[Look]:
    """Each machine shows the same for a while; then something happens, or their number changes."""
    looks: list[Look] = []
    for machines, length, event in parts:
        same = Look(machines, (value,) * machines.serving)
        events = {
            "high": Look(machines, (90.0,) * machines.serving),
            "gone": Look(machines, ()),
            "pause": Look(machines, same.values, 500.0),
        }
        looks += [same] * length
        looks += [events[event]] if event else []
    return looks


looks = looks_of(st.floats() | st.floats(0, 200))
sound_looks = looks_of(st.floats(0, 1e300) | st.floats(0, 200) | st.just(math.nan))


@dataclass(frozen=True)
class Taken:
    """A decision, and what it was taken upon."""

    look: Look
    at_s: float
    past: Past
    decision: Decision

    @property
    def change(self) -> int:
        return self.decision.target - self.look.machines.number


def play(policy: PolicySettings, bounds: Limits, seen: Sequence[Look]) -> list[Taken]:
    """Take a decision at each look. What becomes of it is not for the policy to say."""
    taken, past, now_s = [], Past(), 0.0
    for look in seen:
        now_s += look.gap_s
        sample = Sample(now_s, look.values, look.machines.serving)
        decision, past = decide(policy, bounds, look.machines, (sample,), past, now_s)
        taken.append(Taken(look, now_s, past, decision))
    return taken


def has_data(look: Look) -> bool:
    good = [value for value in look.values if value >= 0 and not math.isinf(value)]
    return bool(good) and 2 * len(good) >= look.machines.serving > 0


def within(number: int, bounds: Limits) -> bool:
    return bounds.least <= number <= bounds.most


@given(policies(), limits, looks)
def test_the_target_is_within_the_limits(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    for taken in play(policy, bounds, seen):
        assert within(taken.decision.target, bounds)
        assert taken.decision.reason


@given(policies(), limits, looks)
def test_no_step_is_larger_than_its_limit_unless_the_number_was_outside_of_its_own(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    for taken in play(policy, bounds, seen):
        if within(taken.look.machines.number, bounds):
            assert -policy.down_step <= taken.change <= policy.up_step


@given(policies(), limits, looks)
def test_nothing_is_added_before_the_cooldown_is_over(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    all_taken = play(policy, bounds, seen)
    added_s = -math.inf
    for before, taken in pairwise(all_taken):
        if taken.look.machines.number > before.look.machines.number:
            added_s = taken.at_s
        if taken.change > 0 and taken.look.machines.number >= bounds.least:
            assert taken.at_s - added_s >= policy.up_cooldown_s


@given(policies(), limits, looks)
def test_without_data_nothing_is_removed(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    for taken in play(policy, bounds, seen):
        if not has_data(taken.look) and taken.look.machines.number <= bounds.most:
            assert taken.change >= 0


@given(policies(), limits, looks)
def test_nothing_is_changed_for_a_window_with_a_hole_in_it(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    heard: list[float] = []
    for taken in play(policy, bounds, seen):
        heard += [taken.at_s] if has_data(taken.look) else []
        if taken.change and within(taken.look.machines.number, bounds):
            window_s = policy.up_window_s if taken.change > 0 else policy.down_window_s
            before = [at_s for at_s in heard if at_s <= taken.at_s - window_s]
            times = [*before[-1:], *heard[len(before) :], taken.at_s]
            assert before, "the window was full"
            assert max(b - a for a, b in pairwise(times)) <= 3 * INTERVAL_S


@given(policies(), limits, looks)
def test_after_a_silence_nothing_is_added_but_to_the_least(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    heard_s = -math.inf
    for taken in play(policy, bounds, seen):
        if has_data(taken.look):
            heard_s = taken.at_s
        if taken.at_s - heard_s > 3 * INTERVAL_S:
            number = taken.look.machines.number
            assert taken.decision.target == min(max(number, bounds.least), bounds.most)


@given(policies(), limits, looks)
def test_nothing_is_removed_within_the_window_after_their_number_changed(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    all_taken = play(policy, bounds, seen)
    changed_s = all_taken[0].at_s if all_taken else 0.0
    for before, taken in pairwise(all_taken):
        if taken.look.machines.number != before.look.machines.number:
            changed_s = taken.at_s
        if taken.change < 0 and taken.look.machines.number <= bounds.most:
            assert taken.at_s - changed_s >= policy.down_window_s
            assert taken.look.machines.coming == 0


@given(policies(), limits, looks)
def test_those_that_remain_can_carry_the_highest_load_of_the_window(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    for taken in play(policy, bounds, seen):
        if taken.change < 0 and taken.look.machines.number <= bounds.most:
            assert taken.decision.target >= max(1, bounds.least)
            since_s = taken.at_s - policy.down_window_s
            highest = max(load.total for load in taken.past.loads if load.at_s >= since_s)
            assert highest / taken.decision.target < policy.up_at * (1 + 1e-9)


@given(policies(), limits, sound_looks, st.lists(st.floats(0, 100), max_size=80))
def test_more_load_never_means_fewer_machines(
    policy: PolicySettings, bounds: Limits, seen: list[Look], more: list[float]
) -> None:
    """The same machines at the same times, and each value as high or higher."""
    higher = [
        Look(look.machines, tuple(value + plus for value in look.values), look.gap_s)
        for look, plus in zip(seen, chain(more, repeat(0.0)), strict=False)
    ]
    for low, high in zip(play(policy, bounds, seen), play(policy, bounds, higher), strict=True):
        assert low.decision.target <= high.decision.target


@given(policies(), limits, looks)
def test_a_replay_decides_the_same(
    policy: PolicySettings, bounds: Limits, seen: list[Look]
) -> None:
    first, second = play(policy, bounds, seen), play(policy, bounds, seen)
    assert [each.decision for each in first] == [each.decision for each in second]


loads = st.lists(st.floats(0, 12), min_size=2, max_size=60)
steps = st.sampled_from([10.0, 30.0, 100.0])


@given(policies(), limits, loads, steps, st.sampled_from([0.0, 10.0, 60.0, 300.0]))
@example(PolicySettings(), Limits(1, 5), [0.0, 5.0, 0.0, 0.0, 5.0] * 10, 100.0, 60.0)
@settings(max_examples=200)
def test_a_group_that_follows_never_goes_up_and_then_down_within_the_window(
    policy: PolicySettings, bounds: Limits, values: list[float], step_s: float, boot_s: float
) -> None:
    times = [number * step_s for number in range(len(values))]
    run = simulate(Trace("any", times, values), policy, bounds, World(boot_s=boot_s))
    assert not run.flaps
    for frame in run.frames:
        assert within(frame.serving + frame.coming, Limits(max(1, bounds.least), bounds.most))
