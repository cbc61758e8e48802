"""Buckets count as Prometheus' histograms do."""

import math
import sys

from hypothesis import given
from hypothesis import strategies as st

from secretary.core.metric import Buckets, Histogram

BOUNDS = (0.01, 0.1, 1.0)


def test_nothing_observed_is_a_histogram_of_zeros() -> None:
    """A family shows all its series from the start, so that a rate has something to rise from."""
    assert Buckets(BOUNDS).histogram() == Histogram(
        ((0.01, 0), (0.1, 0), (1.0, 0), (math.inf, 0)), 0.0
    )


@given(st.lists(st.one_of(st.floats(0, 10), st.sampled_from(BOUNDS))))
def test_each_bucket_counts_what_is_not_above_its_bound(values: list[float]) -> None:
    buckets = Buckets(BOUNDS)
    for value in values:
        buckets.observe(value)
    seen = buckets.histogram()
    assert dict(seen.buckets) == {
        bound: sum(value <= bound for value in values) for bound in (*BOUNDS, math.inf)
    }
    assert seen.count == len(values)
    assert math.isclose(seen.sum, math.fsum(values), abs_tol=1e-9)


def test_a_histogram_keeps_what_it_saw() -> None:
    buckets = Buckets(BOUNDS)
    before = buckets.histogram()
    buckets.observe(0.5)
    assert before.count == 0


def test_three_hundred_services_can_hold_one_each() -> None:
    """Under 1 KB for a dozen bounds and large counts; the bounds are shared."""
    bounds = tuple(2.0**n for n in range(12))
    buckets = Buckets(bounds)
    counts = [10**6] * (len(bounds) + 1)
    held = (buckets, counts, *counts, math.pi)
    assert sum(map(sys.getsizeof, held)) < 1024
    assert not hasattr(buckets, "__dict__")
