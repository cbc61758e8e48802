"""Signals wake the main thread, and the second one ends the process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from secretary.runtime.signals import Request, Signals

HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.mark.parametrize(
    ("number", "request_"),
    [
        (signal.SIGTERM, Request.STOP),
        (signal.SIGINT, Request.STOP),
        (signal.SIGHUP, Request.RELOAD),
    ],
)
def test_each_signal_is_one_request(number: signal.Signals, request_: Request) -> None:
    with Signals() as signals:
        signal.raise_signal(number)
        assert signals.wait(10) == {request_}
        assert signals.wait(0) == frozenset()


def test_a_signal_ends_a_wait_that_has_begun() -> None:
    with Signals() as signals:
        killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGHUP))
        killer.start()
        assert signals.wait(None) == {Request.RELOAD}
        killer.join()


def test_what_was_asked_between_two_waits_is_kept() -> None:
    with Signals() as signals:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
        assert signals.wait(10) == {Request.RELOAD, Request.STOP}


def test_none_of_a_thousand_signals_is_slept_through() -> None:
    """Another thread sends the next as soon as the one before was reported, wherever that hits."""
    with Signals() as signals:
        reported = threading.Semaphore(1)

        def send() -> None:
            for _ in range(1000):
                assert reported.acquire(timeout=10)
                os.kill(os.getpid(), signal.SIGHUP)

        sender = threading.Thread(target=send)
        sender.start()
        seen = 0
        while seen < 1000 and (asked := signals.wait(10) or signals.wait(10)):
            assert asked == {Request.RELOAD}
            seen += 1
            reported.release()
        sender.join()
        assert seen == 1000


def test_any_thread_wakes_the_wait() -> None:
    with Signals() as signals:
        waker = threading.Timer(0.05, signals.wake)
        waker.start()
        assert signals.wait(None) == frozenset()
        waker.join()


def test_waking_often_or_after_the_end_does_no_harm() -> None:
    with Signals() as signals:
        for _ in range(10_000):
            signals.wake()
    signals.wake()


def test_a_wait_ends_by_itself() -> None:
    with Signals() as signals:
        assert signals.wait(0.01) == frozenset()


def test_the_handlers_and_the_wakeup_descriptor_are_put_back() -> None:
    def state() -> tuple[object, ...]:
        descriptor = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(descriptor)
        return descriptor, *map(signal.getsignal, HELD)

    before = state()
    with Signals():
        assert state() != before
    assert state() == before


WAITING = """
import threading
from secretary.runtime.signals import Request, Signals

with Signals() as signals:
    print("waiting", flush=True)
    asked = signals.wait(None)
    print(*(request.name for request in asked), flush=True)
    if Request.STOP in asked and {stuck}:
        blocked = threading.Thread(target=threading.Event().wait, daemon=True)
        blocked.start()
        blocked.join()
"""


@contextmanager
def program(*before: str, stuck: bool) -> Iterator[subprocess.Popen[str]]:
    """A process of its own session, without a terminal, that has come to its wait."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", WAITING.format(stuck=stuck)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            assert said(process) == "waiting"
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_a_process_that_is_stuck(second: signal.Signals) -> None:
    """Its main thread waits for another that never ends."""
    with program(stuck=True) as process:
        process.send_signal(signal.SIGTERM)
        assert said(process) == "STOP"
        process.send_signal(second)
        assert process.wait(10) == 128 + second


def test_one_signal_leaves_the_exit_to_the_program() -> None:
    with program(stuck=False) as process:
        process.send_signal(signal.SIGINT)
        assert said(process) == "STOP"
        assert process.wait(10) == 0


def test_nohup_is_respected() -> None:
    """The SIGHUP is ignored; the SIGTERM after it is what ends the wait, alone."""
    with program("nohup", stuck=False) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert said(process) == "STOP"
        assert process.wait(10) == 0
