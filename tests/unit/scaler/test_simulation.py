"""Whole runs in virtual time: the three traces do not flap, and what is summed up is true."""

from pathlib import Path

import pytest

from secretary.core.scaling import Metric, PolicySettings
from secretary.scaler.policy import Limits
from secretary.scaler.simulation import Frame, Run, World, simulate
from secretary.scaler.traces import SYNTHETIC, Trace, parse

SETTINGS = PolicySettings()
LIMITS = Limits(1, 5)
SHOP = Path(__file__).parents[2] / "traces/shop.csv"


def run(name: str, settings: PolicySettings = SETTINGS, world: World | None = None) -> Run:
    return simulate(SYNTHETIC[name](), settings, LIMITS, world or World())


def numbers(run: Run) -> list[int]:
    return [change.decision.target for change in run.changes]


@pytest.mark.parametrize("boot_s", [0.0, 60.0, 290.0])
@pytest.mark.parametrize("name", SYNTHETIC)
def test_none_of_the_three_traces_makes_the_group_flap(name: str, boot_s: float) -> None:
    done = run(name, world=World(boot_s=boot_s))
    assert done.changes
    assert done.flaps == ()


@pytest.mark.parametrize("name", SYNTHETIC)
def test_thresholds_that_are_too_close_make_no_flaps_either(name: str) -> None:
    close = PolicySettings(up_at=60.0, down_at=55.0, down_step=5, up_step=5, up_cooldown_s=0.0)
    assert run(name, close).flaps == ()


def test_a_day_s_wave_is_followed_up_and_down_without_a_moment_over_capacity() -> None:
    done = run("daily")
    assert numbers(done) == [2, 3, 4, 5, 4, 3, 2]
    assert done.over_s == 0
    assert done.most == 5
    assert done.machine_hours < 24 * 5 * 0.7, "what five machines all day would cost"


def test_a_flash_crowd_is_over_capacity_until_machines_have_booted() -> None:
    done = run("flash")
    assert numbers(done)[:4] == [2, 3, 4, 5]
    over = [frame.at_s for frame in done.frames if frame.is_over]
    assert done.over_s == len(over) * 10.0
    assert 60 < done.over_s <= 300
    assert 3600 <= min(over) <= max(over) <= 3600 + 300


def test_the_longer_machines_boot_the_longer_it_is_over_capacity() -> None:
    took_s = [run("flash", world=World(boot_s=boot_s)).over_s for boot_s in (0.0, 60.0, 180.0)]
    assert took_s == sorted(took_s)
    assert took_s[0] < took_s[2]


def test_a_trace_about_the_thresholds_changes_little_while_its_period_is_below_the_window() -> None:
    done = run("flap")
    hours = [change.at_s / 3600 for change in done.changes]
    assert [hour for hour in hours if hour < 4.5] == hours[:1], "one more, and it stays"
    assert len(hours) > 1, "a load that is low for longer than the window is followed"


def test_a_recorded_trace_in_requests_a_second_is_followed() -> None:
    trace = parse(SHOP.name, SHOP.read_text())
    settings = PolicySettings(metric=Metric.REQUESTS, up_at=20.0, down_at=6.0)
    done = simulate(trace, settings, Limits(1, 8), World(capacity=30.0))
    assert done.flaps == ()
    assert done.most >= 4
    assert max(frame.load for frame in done.frames) == pytest.approx(max(trace.loads) / 30.0)
    assert "requests/s" in done.changes[0].decision.reason


def test_a_full_machine_shows_no_more_than_that() -> None:
    steep = Trace("steep", (0.0, 600.0), (50.0, 50.0))
    done = simulate(steep, SETTINGS, Limits(1, 100), World())
    assert done.changes[0].decision.reason.startswith("cpu 100 % over 60 s at 1 machine")


def test_machines_boot_and_leave_in_their_time() -> None:
    trace = Trace("step", (0.0, 100.0, 101.0, 2000.0), (0.9, 0.9, 0.0, 0.0))
    done = simulate(trace, SETTINGS, Limits(1, 2), World(boot_s=30.0, drain_s=20.0))
    up, down = done.changes
    at = {frame.at_s: (frame.serving, frame.coming, frame.leaving) for frame in done.frames}
    assert [at[up.at_s + s] for s in (-10, 0, 20, 30)] == [
        (1, 0, 0),
        (1, 1, 0),
        (1, 1, 0),
        (2, 0, 0),
    ]
    assert [at[down.at_s + s] for s in (-10, 0, 10, 20)] == [
        (2, 0, 0), (1, 0, 1), (1, 0, 1), (1, 0, 0),
    ]  # fmt: skip


def test_what_boots_and_what_leaves_is_paid_for() -> None:
    frames = (Frame(0.0, 0.5, 1, 1, 0), Frame(10.0, 2.5, 2, 0, 1))
    done = Run(SYNTHETIC["flash"](), SETTINGS, LIMITS, frames, ())
    assert done.machine_hours == pytest.approx(5 * 10 / 3600)
    assert done.over_s == 10.0
    assert done.most == 2


def test_flaps_are_counted_where_there_are_any() -> None:
    """With a window of its own that is shorter than the one that is asked about."""
    done = run("flap", PolicySettings(down_window_s=60.0))
    strict = Run(done.trace, SETTINGS, LIMITS, done.frames, done.changes)
    assert done.flaps == ()
    assert strict.flaps


def test_a_replay_is_the_same_in_every_frame() -> None:
    assert run("flash") == run("flash")
