"""Traces are read strictly, run straight between their points, and are the same each time."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.errors import SettingsError
from secretary.scaler.traces import DAY_S, SYNTHETIC, Trace, parse

TRACES = Path(__file__).parents[2] / "traces"


def test_seconds_are_counted_from_the_first_line() -> None:
    trace = parse("t.csv", "time,load\n100,1\n160,2.5\n")
    assert trace == Trace("t.csv", (0.0, 60.0), (1.0, 2.5))


@pytest.mark.parametrize("zone", ["Z", "+00:00", ""])
def test_moments_are_utc_where_they_name_no_zone(zone: str) -> None:
    trace = parse("t", f"2026-11-21T22:00:00{zone},1\n2026-11-21T22:00:30.5{zone},2")
    assert trace.began == datetime(2026, 11, 21, 22, tzinfo=UTC)
    assert trace.times_s == (0.0, 30.5)


def test_what_a_spreadsheet_adds_says_nothing() -> None:
    text = '\N{BOM}# by hand\r\n"Time","Load"\r\n\r\n"0", 1\r\n60 ,"2"\r\n\r\n'
    assert parse("t", text) == Trace("t", (0.0, 60.0), (1.0, 2.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "t: wanted two lines of time,load at least"),
        ("0,1", "t: wanted two lines"),
        ("0,1\n1,2,3", "t, line 2: wanted time,load, got '1,2,3'"),
        ("0,1\n1;2", "t, line 2: wanted time,load, got '1;2'"),
        ("0,1\n\n60,-1", "t, line 3: load '-1' is not 0 or more"),
        ("0,nan\n60,1", "t, line 1: load 'nan' is not 0 or more"),
        ("0,inf\n60,1", "t, line 1: load 'inf' is not 0 or more"),
        ("0,1\n60,\x1b[2J", "t, line 2: load '\\x1b[2J' is not 0 or more"),
        ("0,1\nnoon,1", "t, line 2: time 'noon', allowed: seconds or ISO 8601"),
        ("0,1\n2026-11-21T22:00:00Z,1", "t, line 2: time '2026-11-21T22:00:00Z', allowed"),
        ("0,1\n0,1", "t, line 2: its time is not later"),
        ("5,1\n4,1", "t, line 2: its time is not later"),
        ("1763762400000,1\n1763848800000,1", "t: is longer than 100 days; are its times seconds?"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse("t", text)
    assert str(caught.value).startswith(words)
    assert str(caught.value).isprintable()


@given(st.text(alphabet="0123456789,.-+eTZ:#\n infax\0\ud7ff"))
def test_any_text_is_a_trace_or_refused(text: str) -> None:
    try:
        trace = parse("t", text)
    except SettingsError:
        return
    assert trace.times_s[0] == 0
    assert all(load >= 0 for load in trace.loads)


def test_the_load_runs_straight_between_two_points_and_stays_at_the_ends() -> None:
    trace = Trace("t", (0.0, 10.0, 20.0), (1.0, 3.0, 0.0))
    seen = [trace.at(time_s) for time_s in (-5.0, 0.0, 5.0, 10.0, 17.5, 20.0, 99.0)]
    assert seen == [1.0, 1.0, 2.0, 3.0, 0.75, 0.0, 0.0]


def test_a_trace_in_another_unit_is_the_same_trace() -> None:
    trace = Trace("t", (0.0, 10.0), (1.0, 3.0)).times(20.0)
    assert trace == Trace("t", (0.0, 10.0), (20.0, 60.0))


@pytest.mark.parametrize("name", SYNTHETIC)
def test_a_synthetic_trace_is_the_same_at_each_call(name: str) -> None:
    trace = SYNTHETIC[name]()
    assert trace == SYNTHETIC[name]()
    assert trace.name == name
    assert min(trace.loads) >= 0
    assert 1.0 < max(trace.loads) < 3.5, "a group with the default limits can carry it"


def test_the_daily_wave_is_a_day() -> None:
    assert SYNTHETIC["daily"]().length_s == DAY_S


def test_a_recorded_trace_can_be_read() -> None:
    path = TRACES / "shop.csv"
    trace = parse(path.name, path.read_text())
    assert trace.length_s == DAY_S
    assert trace.began == datetime(2026, 11, 20, tzinfo=UTC)
