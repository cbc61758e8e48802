"""The probing loop: it tells what is new, survives what it did not foresee, and ends at once."""

import logging
import threading
from collections.abc import Iterator

import pytest

from secretary.agent.health import Health, State, Verdict
from secretary.agent.ports import Outcome
from secretary.agent.worker import Worker
from secretary.core.settings import Rhythm
from tests.fakes.probe import FakeProbe
from tests.waiting import wait_for

QUICK = Rhythm(interval_s=0.01, fast_interval_s=0.005, rise=2, fall=2)


class Listener:
    def __init__(self) -> None:
        self.results = 0
        self.verdicts: list[Verdict] = []

    def hear_result(self, *_: object) -> None:
        self.results += 1


@pytest.fixture
def probe() -> FakeProbe:
    return FakeProbe()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def worker(probe: FakeProbe, listener: Listener) -> Iterator[Worker]:
    worker = Worker(
        name="web",
        key="/services/web/10.0.0.5",
        probe=probe,
        rhythm=QUICK,
        timeout_s=1.0,
        tell_result=listener.hear_result,
        tell_verdict=listener.verdicts.append,
        health=Health(),
    )
    yield worker
    probe.gate.set()
    worker.stop()
    worker.join(5)


def test_every_result_is_told_and_only_a_new_verdict(
    worker: Worker, probe: FakeProbe, listener: Listener
) -> None:
    worker.start()
    wait_for(lambda: listener.results > 5)
    assert listener.verdicts == [Verdict.UP]
    probe.outcome = Outcome.REFUSED
    wait_for(lambda: listener.verdicts == [Verdict.UP, Verdict.DOWN])
    assert worker.health.state is State.DOWN


def test_a_probe_that_raises_changes_nothing_and_the_loop_goes_on(
    worker: Worker, probe: FakeProbe, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    worker.start()
    wait_for(lambda: worker.health.state is State.UP)
    probe.broken = RuntimeError("a bug")
    seen = probe.asked
    wait_for(lambda: probe.asked > seen + 3)
    assert worker.health.state is State.UP
    assert "the probe itself failed" in caplog.text
    probe.broken = None
    probe.outcome = Outcome.REFUSED
    wait_for(lambda: listener.verdicts[-1] is Verdict.DOWN)


def test_a_listener_that_raises_does_not_end_the_loop(
    probe: FakeProbe, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("a bug elsewhere")

    worker = Worker(
        name="web",
        key="k",
        probe=probe,
        rhythm=QUICK,
        timeout_s=1.0,
        tell_result=refuse,
        tell_verdict=refuse,
        health=Health(),
    )
    worker.start()
    wait_for(lambda: probe.asked > 3)
    worker.stop()
    worker.join(5)
    assert "unforeseen" in caplog.text


def test_a_log_that_nobody_reads_does_not_hold_up_the_verdict(
    worker: Worker, probe: FakeProbe, listener: Listener
) -> None:
    full, read = threading.Event(), threading.Event()

    class FullPipe(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            full.set()
            read.wait()

    pipe = FullPipe()
    logger = logging.getLogger("secretary.agent.worker")
    worker.start()
    wait_for(lambda: listener.verdicts == [Verdict.UP])
    logger.addHandler(pipe)
    try:
        probe.outcome = Outcome.REFUSED
        assert full.wait(5)
        assert listener.verdicts == [Verdict.UP, Verdict.DOWN]
    finally:
        logger.removeHandler(pipe)
        read.set()


def test_an_error_of_the_probe_is_said_once(
    worker: Worker, probe: FakeProbe, caplog: pytest.LogCaptureFixture
) -> None:
    probe.outcome = Outcome.ERROR
    worker.start()
    wait_for(lambda: probe.asked > 5)
    assert len([r for r in caplog.records if "cannot probe" in r.message]) == 1


def test_states_are_logged_and_probes_are_not(
    worker: Worker, probe: FakeProbe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker.start()
    wait_for(lambda: probe.asked > 5)
    probe.outcome = Outcome.DOUBT
    wait_for(lambda: worker.health.state is State.DOWN)
    assert [r.message for r in caplog.records] == ["up: pass", "failing: doubt", "down: doubt"]


def test_a_stopped_worker_tells_nothing_more_though_a_probe_is_under_way(
    worker: Worker, probe: FakeProbe, listener: Listener
) -> None:
    worker.start()
    wait_for(lambda: listener.verdicts == [Verdict.UP])
    probe.gate.clear()
    asked = probe.asked
    wait_for(lambda: probe.asked > asked)
    results = listener.results
    probe.outcome = Outcome.REFUSED
    worker.stop()
    worker.stop()
    probe.gate.set()
    worker.join(5)
    assert (listener.results, listener.verdicts) == (results, [Verdict.UP])
