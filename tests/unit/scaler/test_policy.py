"""Each rule of the policy by itself, at its edges, and what it says of itself."""

import math
from collections.abc import Sequence
from itertools import count

import pytest

from secretary.core.scaling import Metric, PolicySettings
from secretary.scaler.policy import Decision, Limits, Machines, decide
from secretary.scaler.samples import Past, Sample

SETTINGS = PolicySettings()
LIMITS = Limits(1, 5)


class Group:
    """A group whose every machine shows the same, looked at every ten seconds."""

    def __init__(
        self, serving: int, settings: PolicySettings = SETTINGS, limits: Limits = LIMITS
    ) -> None:
        self.settings, self.limits = settings, limits
        self.machines = Machines(serving)
        self.past = Past()
        self.now_s = 0.0
        self._looks = count()

    def look(self, values: Sequence[float] | float | None) -> Decision:
        """Look once; None brings no sample at all."""
        self.now_s = next(self._looks) * 10.0
        serving = self.machines.serving
        each = (values,) * serving if isinstance(values, float) else tuple(values or ())
        samples = () if values is None else (Sample(self.now_s, each, serving),)
        decision, self.past = decide(
            self.settings, self.limits, self.machines, samples, self.past, self.now_s
        )
        return decision

    def over(self, seconds: int, value: Sequence[float] | float | None) -> Decision:
        """Look for so long; return the last decision. All before it must leave things as they are.

        One look more than the intervals, so that the first window is full at its end.
        """
        decisions = [self.look(value) for _ in range(seconds // 10 + (self.now_s == 0))]
        assert {each.target for each in decisions[:-1]} <= {self.machines.number}
        return decisions[-1]


def test_a_mean_at_the_threshold_grows_by_one_and_says_why() -> None:
    assert Group(2).over(60, 70.0) == Decision(
        3, "cpu 70 % over 60 s at 2 machines, at or above 70 %: 3"
    )


def test_a_mean_below_the_threshold_leaves_the_group_as_it_is() -> None:
    decision = Group(2).over(60, 69.9)
    assert decision == Decision(2, "cpu 69.9 % at 2 machines, nothing to do: stays at 2")


def test_it_is_the_mean_and_not_the_last_value_that_counts() -> None:
    group = Group(1)
    group.over(60, 50.0)
    assert group.look(100.0).target == 1
    assert group.look(100.0).target == 1
    assert group.look(100.0).target == 2  # four of 50, three of 100


def test_nothing_grows_before_the_window_is_full() -> None:
    decision = Group(1).over(50, 100.0)
    assert decision == Decision(1, "cpu 100 %, known for 50 s of 60 s: stays at 1")


@pytest.mark.parametrize(
    ("serving", "value", "target"), [(4, 83.0, 5), (4, 90.0, 6), (10, 84.0, 13)]
)
def test_it_grows_until_each_would_be_below_the_threshold(
    serving: int, value: float, target: int
) -> None:
    settings = PolicySettings(up_step=100)
    assert Group(serving, settings, Limits(1, 100)).over(60, value).target == target
    assert serving * value / target < settings.up_at


def test_at_the_threshold_it_grows_whatever_rounding_makes_of_it() -> None:
    """In binary, 7 times 1.3 is a little less than it should be."""
    assert Group(7, PolicySettings(up_at=1.3), Limits(1, 9)).over(60, 1.3).target == 8


def test_it_grows_by_no_more_than_the_step() -> None:
    assert Group(10, limits=Limits(1, 100)).over(60, 100.0).target == 12


def test_it_grows_to_the_most_and_no_further() -> None:
    group = Group(4)
    assert group.over(60, 100.0).target == 5
    group.machines = Machines(5)
    assert group.look(100.0) == Decision(
        5,
        "cpu 82.9 % over 60 s at 5 machines, at or above 70 %,"
        " and more than max there may not be: stays at 5",
    )


def test_what_the_group_carried_is_held_against_the_machines_that_serve_now() -> None:
    """Four machines at 80 % were too few; six carry as much at 53 %."""
    group = Group(4, limits=Limits(1, 10))
    assert group.over(60, 80.0).target == 5
    group.machines = Machines(6)
    assert group.look(53.0).target == 6


def test_machines_to_come_count_as_there() -> None:
    group = Group(2)
    assert group.over(60, 100.0).target == 3
    group.machines = Machines(2, coming=1)
    assert group.over(600, 100.0) == Decision(
        3, "cpu 100 % over 60 s at 2 machines, at or above 70 %, and 1 to come will do: stays at 3"
    )


def test_after_an_addition_none_is_made_before_the_cooldown_is_over() -> None:
    group = Group(2, PolicySettings(up_cooldown_s=120.0), Limits(1, 10))
    assert group.over(60, 100.0).target == 3
    group.machines = Machines(3)
    waiting = group.over(120, 100.0)  # the first of these looks sees the third machine
    assert waiting.target == 3
    assert "but machines were added 110 s ago" in waiting.reason
    assert group.look(100.0).target == 5


def test_an_addition_by_hand_counts_for_the_cooldown_as_well() -> None:
    group = Group(2, limits=Limits(1, 10))
    group.over(60, 60.0)
    group.machines = Machines(3)
    group.over(50, 90.0)
    assert "machines were added 50 s ago" in group.look(90.0).reason


def test_a_scaler_that_takes_over_can_be_told_of_the_last_addition() -> None:
    group = Group(2)
    group.past = Past(added_s=30.0)
    assert "machines were added 30 s ago" in group.over(60, 100.0).reason


def test_the_highest_of_the_window_at_the_threshold_shrinks_and_says_why() -> None:
    assert Group(3).over(300, 10.0) == Decision(
        2, "at most cpu 10 % over 300 s at 3 machines, at or below 10 %: 2"
    )


def test_one_higher_value_in_the_window_keeps_the_group_as_it_is() -> None:
    group = Group(3)
    group.over(100, 5.0)
    group.look(11.0)
    assert group.over(300, 5.0).target == 3  # the higher one is as old as the window
    assert group.look(5.0).target == 2


def test_it_shrinks_by_the_step_at_most_and_not_below_the_least() -> None:
    settings = PolicySettings(down_step=3)
    assert Group(9, settings, Limits(1, 10)).over(300, 1.0).target == 6
    assert Group(4, settings, Limits(2, 10)).over(300, 1.0).target == 2
    assert Group(2, settings, Limits(2, 10)).over(300, 1.0) == Decision(
        2,
        "at most cpu 1 % over 300 s at 2 machines, at or below 10 %,"
        " and fewer than min there may not be: stays at 2",
    )


def test_the_last_machine_stays_even_when_none_is_the_least() -> None:
    assert Group(1, limits=Limits(0, 5)).over(600, 0.0).target == 1


def test_it_shrinks_no_further_than_those_that_remain_can_carry() -> None:
    settings = PolicySettings(down_at=50.0, down_step=5)
    decision = Group(5, settings).over(300, 40.0)
    assert decision.target == 3  # two would be at 100 %, three are at 66.7 %
    assert Group(2, settings).over(300, 40.0) == Decision(
        2,
        "at most cpu 40 % over 300 s at 2 machines, at or below 50 %,"
        " but 1 would be at cpu 80 %: stays at 2",
    )


def test_it_does_not_shrink_while_machines_are_to_come() -> None:
    group = Group(3)
    group.machines = Machines(3, coming=1)
    decision = group.over(300, 1.0)
    assert decision.target == 4
    assert "but 1 to come" in decision.reason


@pytest.mark.parametrize("before", [2, 4])
def test_it_does_not_shrink_for_a_window_after_their_number_changed(before: int) -> None:
    group = Group(before)
    group.over(290, 1.0)
    group.machines = Machines(3)
    decision = group.over(300, 1.0)
    assert decision.target == 3
    assert "but their number changed 290 s ago" in decision.reason
    assert group.look(1.0).target == 2


def test_too_few_machines_are_made_up_for_at_once_whatever_is_measured() -> None:
    group = Group(1, limits=Limits(4, 5))
    assert group.look(None) == Decision(4, "1 machine, fewer than min: 4")
    group.machines = Machines(0)
    assert group.look(None).target == 4
    group.machines = Machines(1, coming=3)
    assert group.look(None).target == 4


def test_too_many_machines_are_brought_down_at_once_whatever_is_measured() -> None:
    assert Group(9).look(100.0) == Decision(5, "9 machines, more than max: 5")


@pytest.mark.parametrize(
    "nothing",
    [None, (), (50.0,), (math.nan, math.nan, 50.0), (math.inf,) * 3, (-1.0,) * 3],
    ids=["no sample", "no value", "one of three", "not a number", "infinite", "negative"],
)
def test_without_data_nothing_is_changed(nothing: Sequence[float] | None) -> None:
    group = Group(3)
    group.over(290, 1.0)
    blind = group.over(20, nothing)
    assert "but the last look brought no data" in blind.reason
    assert group.over(400, nothing) == Decision(
        3, "no data of at least half of the machines in the last 30 s: stays at 3"
    )
    assert group.over(300, 1.0).target == 3, "the window begins anew after a silence"
    assert group.look(1.0).target == 2


def test_a_look_without_data_between_two_with_data_is_forgiven() -> None:
    group = Group(2)
    group.over(50, 90.0)
    group.look(None)
    assert group.look(90.0).target == 3


def test_half_of_the_machines_speak_for_all() -> None:
    assert Group(4, limits=Limits(1, 9)).over(60, (80.0, math.nan, 80.0)).target == 5


def test_a_group_of_which_none_serves_waits_for_those_to_come() -> None:
    group = Group(0)
    group.machines = Machines(0, coming=2)
    assert group.over(600, 5.0) == Decision(
        2, "no machine serves, so nothing can be measured: stays at 2"
    )


def test_what_is_remembered_does_not_grow() -> None:
    group = Group(2)
    group.over(5000, 50.0)
    assert len(group.past.loads) == 31


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Metric.CPU, "cpu 83.3 % over 60 s at 2 machines, at or above 70 %: 3"),
        (Metric.REQUESTS, "83.3 requests/s over 60 s at 2 machines, at or above 70: 3"),
        (Metric.SESSIONS, "83.3 sessions over 60 s at 2 machines, at or above 70: 3"),
        (Metric.QUEUE, "83.3 requests waiting over 60 s at 2 machines, at or above 70: 3"),
        (Metric.PROMETHEUS, "83.3 over 60 s at 2 machines, at or above 70: 3"),
    ],
)
def test_a_reason_names_the_metric(metric: Metric, words: str) -> None:
    assert Group(2, PolicySettings(metric=metric)).over(60, 83.3).reason == words
