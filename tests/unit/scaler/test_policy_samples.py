"""What becomes of samples on their way to a decision, and what thresholds are warned of."""

import math

import pytest

from secretary.core.scaling import Metric, PolicySettings
from secretary.scaler.policy import Limits, Machines, decide, too_close
from secretary.scaler.samples import Past, Sample

SETTINGS = PolicySettings()
LIMITS = Limits(1, 5)
MINUTE = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0)


def test_after_a_pause_of_the_scaler_the_windows_begin_anew() -> None:
    samples = [Sample(at_s, (90.0,), 1) for at_s in (*MINUTE, 95.0)]
    decision, past = decide(SETTINGS, LIMITS, Machines(1), samples, Past(), 95.0)
    assert decision.target == 1
    assert [load.at_s for load in past.loads] == [95.0]


def test_a_sum_is_divided_by_the_machines() -> None:
    assert Sample.of_sum(0.0, 120.0, 3).values == (40.0, 40.0, 40.0)
    assert Sample.of_sum(0.0, 120.0, 3).load == 120.0
    assert Sample.of_sum(0.0, math.nan, 3).load is None
    assert Sample.of_sum(0.0, 120.0, 0).load is None


def test_samples_that_come_late_count_at_their_own_times_and_only_once() -> None:
    samples = [Sample(at_s, (90.0, 90.0), 2) for at_s in MINUTE]
    decision, past = decide(SETTINGS, LIMITS, Machines(2), samples, Past(), 60.0)
    assert decision.target == 3
    _, again = decide(SETTINGS, LIMITS, Machines(2), samples, past, 60.0)
    assert again.loads == past.loads


def test_samples_of_a_time_that_has_not_come_are_left_out() -> None:
    _, past = decide(SETTINGS, LIMITS, Machines(1), [Sample(9.0, (1.0,), 1)], Past(), 8.0)
    assert past.loads == ()


@pytest.mark.parametrize(
    ("metric", "up_at", "down_at", "is_close"),
    [
        (Metric.CPU, 70.0, 10.0, False),
        (Metric.CPU, 70.0, 40.0, False),
        (Metric.CPU, 70.0, 41.0, True),
        (Metric.REQUESTS, 20.0, 10.0, False),
        (Metric.REQUESTS, 900.0, 800.0, True),
    ],
)
def test_thresholds_that_are_close_are_warned_of(
    metric: Metric, up_at: float, down_at: float, is_close: bool
) -> None:
    warning = too_close(PolicySettings(metric=metric, up_at=up_at, down_at=down_at))
    assert (warning is not None) is is_close
    assert warning is None or f"{down_at:g}" in warning
