"""The rules of the house for every test.

A test leaves nothing behind; in CI (CI=true) nothing is skipped.
"""

import contextlib
import gc
import os
import uuid
from collections.abc import Generator, Iterator
from typing import TypeVar

import hypothesis
import pytest

from tests.footprint import MARK, Footprint
from tests.system.docker_bed import docker
from tests.waiting import wait_for

__all__ = ["docker"]

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

_SETTLE_S = 5.0
"""A closed gRPC channel gives its descriptors back about 50 ms later; machines can be slow."""


def pytest_configure(config: pytest.Config) -> None:
    os.environ[MARK] = uuid.uuid4().hex
    # Machines are slow at times; the suite's own timeout catches what hangs.
    hypothesis.settings.register_profile("house", deadline=None)
    hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fails a test after which a thread, a process or a descriptor stays.

    What fixtures of a wider scope hold is there before the test and so is not counted.
    """
    before = Footprint.now()
    yield
    left = Footprint.now().beyond(before)
    if left:
        gc.collect()  # a traceback kept in a cycle is not a leak

        def nothing_is_left() -> bool:
            left[:] = Footprint.now().beyond(before)
            return not left

        with contextlib.suppress(AssertionError):  # said better below
            wait_for(nothing_is_left, timeout_s=_SETTLE_S)
    if left:
        pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _no_skip_in_ci(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _no_skip_in_ci(report)


def _no_skip_in_ci(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure in CI: {reason}"
    return report
