"""What is measured, in Prometheus' terms: families of labelled samples, as plain values.

Refuses to know how they are written down or who asks: that is `runtime/metrics.py`.
"""

import enum
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

Labels = tuple[tuple[str, str], ...]


class Kind(enum.Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Histogram:
    """`buckets` pairs each upper bound (included) with the count up to it; the last is +Inf."""

    buckets: tuple[tuple[float, int], ...]
    sum: float

    @property
    def count(self) -> int:
        return self.buckets[-1][1]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value under its labels; a `Histogram` where the family is one, else a number."""

    labels: Labels
    value: float | Histogram


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one name. A counter's name ends in `_total`; a unit stands in the name."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


class Buckets:
    """Counts observations under fixed upper `bounds`, which rise. A few hundred bytes each.

    One thread observes; another that reads meanwhile sees each count, and may see a `sum` that
    is one observation apart from them.
    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def histogram(self) -> Histogram:
        """Return what has been counted so far."""
        cumulative = accumulate(self._counts)
        return Histogram(tuple(zip((*self._bounds, math.inf), cumulative, strict=True)), self._sum)
