"""The picture is well-formed, shows what was, and stays small."""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from secretary.core.scaling import PolicySettings
from secretary.scaler.drawing import HEIGHT, WIDTH, draw
from secretary.scaler.policy import Limits
from secretary.scaler.simulation import World, simulate
from secretary.scaler.traces import SYNTHETIC, Trace

SVG = "{http://www.w3.org/2000/svg}"


def drawn(trace: Trace, limits: Limits | None = None, title: str = "title") -> ElementTree.Element:
    run = simulate(trace, PolicySettings(), limits or Limits(1, 5), World())
    return ElementTree.fromstring(draw(run, title, "subtitle"))  # noqa: S314 - our own


def texts(svg: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def path(svg: ElementTree.Element, name: str) -> str:
    """Return the path of a class that is not the legend's."""
    return max((e.get("d", "") for e in svg.iter(f"{SVG}path") if e.get("class") == name), key=len)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_everything_lies_inside_the_picture(name: str) -> None:
    svg = drawn(SYNTHETIC[name]())
    for line in ("load", "serving", "paid"):
        for at, height in re.findall(r"([\d.]+) ([\d.]+)", path(svg, line)):
            assert 0 <= float(at) <= WIDTH
            assert 0 <= float(height) <= HEIGHT


def test_the_axes_say_hours_and_machines_and_the_legend_the_rest() -> None:
    said = texts(drawn(SYNTHETIC["daily"]()))
    assert {"title", "subtitle", "machines", "hours", "min", "max"} <= set(said)
    assert {"0:00", "12:00", "24:00", "0", "1", "5"} <= set(said)
    assert {"load", "serving", "paid for", "over capacity"} <= set(said)


def test_a_recorded_trace_has_full_hours_of_the_clock() -> None:
    trace = Trace("t", (0.0, 10800.0), (1.0, 2.0), datetime(2026, 11, 21, 22, 10, tzinfo=UTC))
    said = texts(drawn(trace))
    assert {"22:30", "23:00", "00:00", "01:00", "time (UTC)"} <= set(said)
    assert "22:10" not in said


def test_a_trace_of_weeks_has_weeks() -> None:
    trace = Trace("t", (0.0, 30 * 86400.0), (1.0, 1.0), datetime(2026, 11, 1, tzinfo=UTC))
    said = texts(drawn(trace))
    assert {"05 Nov", "12 Nov", "26 Nov"} <= set(said)
    assert len(said) < 40


def test_a_line_changes_height_where_machines_do() -> None:
    svg = drawn(SYNTHETIC["flash"]())
    assert path(svg, "serving").count("V") == 6


def test_time_over_capacity_is_marked() -> None:
    def marks(name: str) -> int:
        rectangles = drawn(SYNTHETIC[name]()).iter(f"{SVG}rect")
        return sum(each.get("class") == "over" for each in rectangles) - 1  # the legend's

    assert marks("daily") == 0
    assert marks("flash") == 1


def test_a_title_cannot_break_out_of_its_text() -> None:
    assert "<b>&\"'" in texts(drawn(SYNTHETIC["flash"](), title="<b>&\"'"))


@pytest.mark.parametrize("most", [1, 40, 1000])
def test_any_number_of_machines_has_few_lines(most: int) -> None:
    said = texts(drawn(Trace("t", (0.0, 1.0), (0.0, 0.0)), Limits(1, most)))
    assert len(said) < 30


def test_a_picture_of_a_day_is_small() -> None:
    run = simulate(SYNTHETIC["daily"](), PolicySettings(), Limits(1, 5), World())
    assert len(draw(run, "", "")) < 60_000
