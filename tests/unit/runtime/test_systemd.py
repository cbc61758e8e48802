"""systemd hears what sd_notify(3) and sd_watchdog_enabled(3) promise it."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.runtime.systemd import Notifier, notifier


@pytest.fixture(params=["path", "abstract"])
def service_manager(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[socket.socket, str]]:
    """A socket such as systemd's, and how NOTIFY_SOCKET names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1))
        listening.settimeout(10)
        yield listening, name


def test_every_message_arrives_in_its_words(service_manager: tuple[socket.socket, str]) -> None:
    listening, name = service_manager
    told = notifier({"NOTIFY_SOCKET": name})
    told.ready()
    told.status("2 of 3 registered")
    told.watchdog()
    told.stopping(12.5)
    assert [listening.recv(4096) for _ in range(4)] == [
        b"READY=1",
        b"STATUS=2 of 3 registered",
        b"WATCHDOG=1",
        b"STOPPING=1\nEXTEND_TIMEOUT_USEC=12500000",
    ]


def test_reloading_carries_the_monotonic_time(service_manager: tuple[socket.socket, str]) -> None:
    """Type=notify-reload refuses a message without it."""
    listening, name = service_manager
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier({"NOTIFY_SOCKET": name}).reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    reloading, stamp = listening.recv(4096).decode().split("\n")
    assert reloading == "RELOADING=1"
    assert before <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("up\nSTOPPING=1", "STATUS=up STOPPING=1"),
        ("a\r\n\x85b", "STATUS=a b"),
        ("\udcff", "STATUS=\\udcff"),
    ],
)
def test_a_status_stays_one_line(tmp_path: Path, text: str, told: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).status(text)
        assert listening.recv(4096).decode() == told


def test_nobody_is_told_where_systemd_does_not_ask() -> None:
    """Also no watchdog: there is no way to feed it."""
    silent = notifier({"WATCHDOG_USEC": "30000000"})
    silent.ready()
    silent.stopping(1)
    assert silent.watchdog_interval_s is None


@pytest.mark.parametrize("name", ["nowhere", "x" * 200, "vsock:2:1234"])
def test_a_message_that_cannot_arrive_is_logged_once(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = notifier({"NOTIFY_SOCKET": str(tmp_path / name)})
    told.ready()
    told.watchdog()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "NOTIFY_SOCKET" in caplog.text


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getppid())}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_time(
    environ: dict[str, str], interval_s: float | None
) -> None:
    assert notifier({"NOTIFY_SOCKET": "/run/x", **environ}).watchdog_interval_s == interval_s


def test_the_words_can_be_heard_without_a_socket() -> None:
    heard: list[str] = []
    Notifier(heard.append).ready()
    assert heard == ["READY=1"]
