"""The first change after quiet goes out at once, a storm is gathered, reloads keep apart."""

import math

import pytest

from secretary.core.settings import PaceSettings
from secretary.renderer.changes import Pace

SETTINGS = PaceSettings(min_wait_s=0.2, max_wait_s=2, reload_gap_s=1, retry_s=1, max_retry_s=8)


def pace() -> Pace:
    return Pace(SETTINGS)


def test_without_a_change_nothing_is_due() -> None:
    assert pace().due_s == math.inf


def test_the_first_change_after_quiet_is_due_at_once() -> None:
    assert pace().changed(10).due_s == 10
    later = pace().changed(10).taken().published(10, reloaded=False).changed(10.3)
    assert later.due_s == 10.3


def test_a_change_that_follows_quickly_waits_for_more() -> None:
    busy = pace().changed(10).taken().published(10, reloaded=False)
    assert busy.changed(10.1).due_s == pytest.approx(10.3)
    assert busy.changed(10.1).changed(10.2).due_s == pytest.approx(10.4)


def test_a_storm_is_published_after_the_longest_wait() -> None:
    busy = pace().changed(10).taken().published(10, reloaded=False)
    for tenth in range(1, 40):
        busy = busy.changed(10 + tenth / 10)
    assert busy.due_s == pytest.approx(12.1)


def test_a_storm_of_ten_seconds_makes_few_reloads() -> None:
    now, storm, reloads = 0.0, pace(), 0
    while now < 10:
        storm = storm.changed(now)
        if storm.due_s <= now:
            storm, reloads = storm.taken().published(now, reloaded=True), reloads + 1
        now += 0.01
    assert reloads <= 6


def test_two_reloads_keep_their_distance() -> None:
    reloaded = pace().changed(10).taken().published(10, reloaded=True)
    assert reloaded.changed(10.5).due_s == 11
    assert reloaded.changed(11.5).due_s == 11.5


def test_what_comes_while_publishing_is_due_afterwards() -> None:
    during = pace().changed(10).taken().changed(10.05).published(10.1, reloaded=False)
    assert during.due_s == pytest.approx(10.25)


def test_what_failed_is_tried_again_less_and_less_often() -> None:
    failing, now, waits = pace().changed(0).taken(), 0.0, []
    for _ in range(6):
        failing = failing.failed(now)
        waits.append(failing.due_s - now)
        now = failing.due_s
        failing = failing.taken()
    assert waits == [1, 2, 4, 8, 8, 8]


def test_a_change_after_a_failure_is_tried_before_the_backoff_ends() -> None:
    failed = pace().changed(0).taken().failed(0).taken().failed(1).taken().failed(3)
    assert failed.due_s == 7
    assert failed.changed(4.5).due_s == 4.5
