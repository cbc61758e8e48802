"""What is told of a process is what it is; what cannot be seen is never taken for nothing."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.renderer.proxies import processes
from secretary.renderer.proxies.processes import Answer
from tests.waiting import wait_for

NONE = 2**22 + 1
"""More than any process's number."""


@contextlib.contextmanager
def shell(script: str) -> Iterator[int]:
    process = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        ("trap : HUP", Answer.HANDLED),
        ("trap '' HUP", Answer.IGNORED),
        ("trap : USR1", Answer.ENDED),
    ],
)
def test_what_a_signal_would_do_is_known_before_it_is_sent(before: str, answer: Answer) -> None:
    with shell(f"{before}; while :; do sleep 0.1; done") as pid:
        wait_for(lambda: processes.answer_to(pid, signal.SIGHUP) is answer)


def test_a_blocked_signal_is_held() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        assert processes.answer_to(os.getpid(), signal.SIGUSR2) is Answer.HELD
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


def test_a_process_that_does_not_exist_is_nothing() -> None:
    assert not processes.is_running(NONE)
    assert processes.answer_to(NONE, signal.SIGHUP) is None
    assert processes.title(NONE) == ""
    assert processes.children(NONE) == frozenset()
    assert processes.listeners(NONE) == frozenset()


def test_children_are_those_that_have_not_ended() -> None:
    ended = subprocess.Popen(["/bin/true"])
    try:
        wait_for(lambda: not processes.is_running(ended.pid), what="it had ended")
        with shell("exec sleep 60") as pid:
            assert processes.is_running(pid)
            assert pid in processes.children(os.getpid())
            assert ended.pid not in processes.children(os.getpid())
            wait_for(lambda: processes.title(pid) == "sleep 60")
    finally:
        ended.wait()


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_listening_socket_is_held_until_it_is_closed(
    family: socket.AddressFamily, address: str
) -> None:
    before = processes.listeners(os.getpid())
    with socket.socket(family) as listening, socket.socket(family) as idle:
        listening.bind((address, 0))
        idle.bind((address, 0))
        listening.listen()
        ((descriptor, named),) = processes.listeners(os.getpid()) - before
        assert descriptor == f"/proc/{os.getpid()}/fd/{listening.fileno()}"
        assert processes.holds(descriptor, named)
    assert not processes.holds(descriptor, named)


def test_what_may_not_be_seen_counts_as_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    with socket.create_server(("127.0.0.1", 0)):
        descriptor, named = next(iter(processes.listeners(os.getpid())))
        monkeypatch.setattr(os, "readlink", refuse)
        assert processes.holds(descriptor, named)
        with pytest.raises(PermissionError):
            processes.listeners(os.getpid())
