"""Metrics as the text that Prometheus reads. The only door to prometheus_client.

It is imported at the first scrape: a program that nobody scrapes does not pay for it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from secretary.core.metric import Family, Histogram

if TYPE_CHECKING:
    from prometheus_client import Metric


def exposition(families: Sequence[Family]) -> tuple[bytes, str]:
    """Return the page and its content type: `families`, and what the process itself takes."""
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry()
    registry.register(_Families(families))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder("")  # the plain text that every scraper understands
    return encode(registry), content_type


class _Families:
    """A collector, as prometheus_client calls it."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> "Iterable[Metric]":
        return map(_metric, self._families)


def _metric(family: Family) -> "Metric":
    from prometheus_client import Metric

    # A counter's `_total` belongs to its samples; the library puts it back.
    metric = Metric(family.name.removesuffix("_total"), family.help, family.kind.value)
    for name, labels, value in _lines(family):
        metric.add_sample(name, labels, value)
    return metric


def _lines(family: Family) -> Iterator[tuple[str, dict[str, str], float]]:
    for sample in family.samples:
        labels, value = dict(sample.labels), sample.value
        if not isinstance(value, Histogram):
            yield family.name, labels, value
            continue
        for bound, count in value.buckets:
            le = "+Inf" if bound == math.inf else str(float(bound))
            yield f"{family.name}_bucket", {**labels, "le": le}, count
        yield f"{family.name}_count", labels, value.count
        yield f"{family.name}_sum", labels, value.sum
