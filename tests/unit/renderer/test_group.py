"""A group publishes what is due, outlives every failure, and says how it is."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from secretary.core.errors import ReloadFailed
from secretary.core.settings import PaceSettings
from secretary.renderer.group import Group
from secretary.renderer.publisher import Published, Publisher
from secretary.renderer.services import View
from tests.waiting import stays, wait_for

QUICK = PaceSettings(
    min_wait_s=0.01, max_wait_s=0.05, reload_gap_s=0.01, retry_s=0.02, max_retry_s=0.05
)


class Fake(Publisher):
    """Does what it is told instead of publishing."""

    def __init__(self) -> None:
        super().__init__([], check=lambda words, timeout_s: None, check_timeout_s=1, applied={})
        self.views: list[View] = []
        self.retried = 0
        self.act: Callable[[], Published] = lambda: Published(written=True, reloaded=True)

    def publish(self, view: View, now: datetime) -> Published:
        self.views.append(view)
        return self.act()

    def retry_quarantined(self) -> None:
        self.retried += 1


@pytest.fixture
def publisher() -> Fake:
    return Fake()


@pytest.fixture
def applied() -> threading.Event:
    return threading.Event()


@pytest.fixture
def group(publisher: Fake, applied: threading.Event) -> Iterator[Group]:
    group = Group("g", publisher, QUICK, applied.set)
    group.start()
    yield group
    group.stop(5)


def fail(error: Exception) -> Callable[[], Published]:
    def act() -> Published:
        raise error

    return act


def test_a_view_is_published_and_told_of(
    group: Group, publisher: Fake, applied: threading.Event
) -> None:
    view = View(7)
    group.offer(view, 0)
    assert applied.wait(5)
    assert group.applied is view
    assert (group.reloads, group.writes, group.trouble) == (1, 1, None)
    assert group.behind_s == 0


def test_what_fails_is_tried_again_until_it_works(group: Group, publisher: Fake) -> None:
    publisher.act = fail(ReloadFailed("no proxy"))
    group.offer(View(7), 0)
    wait_for(lambda: group.failures >= 3)
    assert group.trouble == "no proxy"
    assert group.applied is None
    assert group.behind_s > 0
    publisher.act = Published
    wait_for(lambda: group.applied)
    assert group.trouble is None


def test_a_fault_that_nobody_foresaw_does_not_end_it(
    group: Group, publisher: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    publisher.act = fail(ZeroDivisionError("oops"))
    group.offer(View(7), 0)
    wait_for(lambda: group.failures >= 3)
    assert caplog.text.count("Traceback") == 1
    publisher.act = Published
    wait_for(lambda: group.applied)


def test_what_comes_while_publishing_is_published_next(group: Group, publisher: Fake) -> None:
    entered, released = threading.Event(), threading.Event()

    def slow() -> Published:
        entered.set()
        released.wait(5)
        return Published(reloaded=True)

    publisher.act = slow
    group.offer(View(1), 0)
    assert entered.wait(5)
    group.offer(View(2), 0)
    group.offer(View(3), 0)
    released.set()
    wait_for(lambda: group.applied is not None and group.applied.revision == 3)
    assert [view.revision for view in publisher.views] == [1, 3]


def test_without_a_change_nothing_is_published(group: Group, publisher: Fake) -> None:
    group.offer(View(1), 0)
    wait_for(lambda: group.applied)
    stays(lambda: len(publisher.views) == 1, for_s=0.3)


def test_a_resync_looks_again_and_retries_what_is_quarantined(
    group: Group, publisher: Fake
) -> None:
    group.offer(View(1), 0)
    wait_for(lambda: group.applied)
    group.resync()
    wait_for(lambda: len(publisher.views) == 2)
    assert publisher.retried == 1


def test_servers_that_are_leaving_are_looked_at_again(group: Group, publisher: Fake) -> None:
    answers = [Published(runtime_changes=1, leaving=1), Published()]
    publisher.act = lambda: answers.pop(0) if answers else Published()
    group.offer(View(1), 0)
    wait_for(lambda: len(publisher.views) == 2)
    stays(lambda: len(publisher.views) == 2, for_s=1.3)


def test_it_can_be_stopped_twice_and_before_it_starts(publisher: Fake) -> None:
    group = Group("g", publisher, QUICK, lambda: None)
    group.stop(1)
    group.start()
    group.stop(5)
    group.stop(5)
