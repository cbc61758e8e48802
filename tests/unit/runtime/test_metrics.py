"""The metrics page says to Prometheus' own parser what it was given."""

import math
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from secretary.core.metric import Buckets, Family, Histogram, Kind, Sample
from secretary.runtime.metrics import exposition

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(*families: Family) -> tuple[dict[str, tuple[str, str]], Series]:
    """Type and help by family, value by series; without the process's own."""
    body, _ = exposition(families)
    found = [
        family
        for family in text_string_to_metric_families(body.decode())
        if not family.name.startswith("process_")
    ]
    about = {family.name: (family.type, family.documentation) for family in found}
    series = {(s.name, frozenset(s.labels.items())): s.value for f in found for s in f.samples}
    return about, series


def test_counters_and_gauges_come_back_as_they_were() -> None:
    about, series = parsed(
        Family(
            "probes_total",
            Kind.COUNTER,
            "Probes by result.",
            [
                Sample((("service", "web"), ("result", "pass")), 3),
                Sample((("service", "api"), ("result", "refused")), 1),
            ],
        ),
        Family("up", Kind.GAUGE, "Whether it is up.", [Sample((), 0.5)]),
    )
    assert about == {
        "probes": ("counter", "Probes by result."),
        "up": ("gauge", "Whether it is up."),
    }
    assert series == {
        ("probes_total", frozenset({("service", "web"), ("result", "pass")})): 3,
        ("probes_total", frozenset({("service", "api"), ("result", "refused")})): 1,
        ("up", frozenset()): 0.5,
    }


def test_a_histogram_comes_back_with_its_buckets_sum_and_count() -> None:
    buckets = Buckets((0.1, 1.0))
    for value in (0.05, 0.5, 5.0):
        buckets.observe(value)
    about, series = parsed(
        Family("probe_seconds", Kind.HISTOGRAM, "h", [Sample((("a", "b"),), buckets.histogram())])
    )
    label = ("a", "b")
    assert about == {"probe_seconds": ("histogram", "h")}
    assert series == {
        ("probe_seconds_bucket", frozenset({label, ("le", "0.1")})): 1,
        ("probe_seconds_bucket", frozenset({label, ("le", "1.0")})): 2,
        ("probe_seconds_bucket", frozenset({label, ("le", "+Inf")})): 3,
        ("probe_seconds_count", frozenset({label})): 3,
        ("probe_seconds_sum", frozenset({label})): 5.55,
    }


def test_a_family_without_samples_still_says_what_it_is() -> None:
    about, series = parsed(Family("errors_total", Kind.COUNTER, "None yet.", []))
    assert about == {"errors": ("counter", "None yet.")}
    assert series == {}


@given(st.text(), st.floats(allow_nan=False))
def test_no_label_value_breaks_the_page(label: str, value: float) -> None:
    _, series = parsed(Family("g", Kind.GAUGE, "h", [Sample((("l", label),), value)]))
    assert series == {("g", frozenset({("l", label)})): value}


def test_the_process_tells_of_itself() -> None:
    body, content_type = exposition([])
    found = {f.name: f for f in text_string_to_metric_families(body.decode())}
    assert found["process_resident_memory_bytes"].samples[0].value > 1e6
    assert "process_open_fds" in found
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_a_histogram_that_counts_nothing_has_a_count() -> None:
    _, series = parsed(
        Family("h", Kind.HISTOGRAM, "h", [Sample((), Histogram(((math.inf, 0),), 0.0))])
    )
    assert series["h_count", frozenset()] == 0


def test_who_is_never_scraped_does_not_load_the_library() -> None:
    code = "import sys, secretary.runtime.status; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
