"""A command ends by its deadline with all it has started, and its words are not lost."""

import logging
import os
import threading
from pathlib import Path

import pytest

from secretary.renderer.proxies.command import MOST_OUTPUT, MOST_SAID, Commands
from tests.waiting import wait_for


def sh(script: str, timeout_s: float = 10.0) -> tuple[int | None, str]:
    ran = Commands().run(("/bin/sh", "-c", script), timeout_s)
    return ran.status, ran.said


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return f"{pid} (sleep) Z" not in Path(f"/proc/{pid}/stat").read_text()


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("exit 0", 0, "/bin/sh: exit status 0"),
        ("echo a; echo b >&2; exit 3", 3, "/bin/sh: exit status 3: a b"),
        ("printf 'x\\033[31m\\n'; exit 1", 1, "/bin/sh: exit status 1: x\\x1b[31m"),
        ("kill -9 $$", -9, "/bin/sh: killed by SIGKILL"),
    ],
)
def test_how_a_command_ended_is_one_line(script: str, status: int, said: str) -> None:
    assert sh(script) == (status, said)


def test_a_command_that_does_not_exist_says_so() -> None:
    ran = Commands().run(("/no/such/command",), 1)
    assert (ran.status, ran.said) == (
        None,
        "/no/such/command: cannot be run: No such file or directory",
    )


def test_what_it_says_is_logged_and_shortened(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        _, said = sh("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exit 1")
    assert len(said) < MOST_SAID + 50
    assert "/bin/sh: line 7" in caplog.messages
    assert len(caplog.messages) < 600


def test_a_long_output_is_kept_from_both_ends() -> None:
    script = "echo begun; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo why"
    output = Commands().run(("/bin/sh", "-c", script), 10).output
    assert len(output) <= MOST_OUTPUT
    lines = output.splitlines()
    assert (lines[0], lines[-2:]) == ("begun", ["line 1999", "why"])
    assert "[...]" in lines


def test_the_reason_comes_before_the_warnings() -> None:
    said = [
        "[NOTICE]   (1) : haproxy version is 2.6.12",
        "[WARNING]  (1) : config : missing timeouts for backend 'x'.",
        "   | While not properly invalid, you will encounter problems",
        "[ALERT]    (1) : config : weight of server s is not within 0 and 256",
        "nginx: [warn] conflicting server name",
        "2026/11/21 10:03:18 [emerg] 1#1: invalid parameter",
    ]
    output = Commands().run(("/usr/bin/printf", "%s\n", *said), 10).output.splitlines()
    assert output[:2] == [said[3], said[5]]
    assert sorted(output) == sorted(line.strip() for line in said)
    assert output[3].endswith("backend 'x'.")
    assert output[4].startswith("| While")


def test_what_is_written_to_dev_stderr_spoils_nothing() -> None:
    assert "\\x00" not in sh("echo aaaa; echo b >/dev/stderr; echo c; exit 1")[1]


def test_a_command_runs_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose file system is read-only has no directory for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    assert sh("echo a; exit 3") == (3, "/bin/sh: exit status 3: a")


def test_without_files_in_memory_it_takes_one_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.memfd_create", refuse)
    assert sh("echo a; exit 3") == (3, "/bin/sh: exit status 3: a")
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    assert sh("exit 0") == (None, "/bin/sh: cannot be run: No such file or directory")


def test_without_a_descriptor_of_its_end_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("os.pidfd_open", refuse)
    assert sh("exit 3")[0] == 3
    assert sh("exec sleep 60", 0.2) == (None, "/bin/sh: not done after 0.2 s, killed")


def test_the_same_words_are_logged_once_for_each_command(caplog: pytest.LogCaptureFixture) -> None:
    commands = Commands()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            commands.run(("/bin/echo", "check", "/d/.a.secretary-x1y2", "17"), 1)
            commands.run(("/bin/echo", "reload"), 1)
    assert len(caplog.messages) == 2


def test_at_the_deadline_it_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    status, said = sh(f"sleep 60 & echo $! >{pid}; wait", 0.5)
    assert (status, said) == (None, "/bin/sh: not done after 0.5 s, killed")
    wait_for(lambda: not alive(int(pid.read_text())))


def test_a_daemon_that_holds_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    try:
        assert sh(f"sleep 60 & echo $! >{pid}")[0] == 0
    finally:
        os.kill(int(pid.read_text()), 9)
    wait_for(lambda: not alive(int(pid.read_text())))


def test_what_is_meant_for_this_program_is_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETARY_ETCD_USER", "me")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    assert sh('test -z "$SECRETARY_ETCD_USER$NOTIFY_SOCKET$WATCHDOG_USEC"')[0] == 0


def test_stopping_ends_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    commands, began = Commands(), tmp_path / "began"
    ended: list[int | None] = []

    def run() -> None:
        ended.append(commands.run(("/bin/sh", "-c", f"touch {began}; sleep 60"), 60).status)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(began.exists)
    commands.stop()
    thread.join(10)
    assert ended == [-9]
    assert commands.run(("/bin/true",), 1).said == "/bin/true: not run, we are stopping"
