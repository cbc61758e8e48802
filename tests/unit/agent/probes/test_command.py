"""A command probe says how the command ended, and ends it and all its children in time."""

import os
import re
import resource
import signal
import stat
from pathlib import Path

import psutil
import pytest

from secretary.agent.ports import Outcome, ProbeResult
from secretary.agent.probes import build
from secretary.core.settings import ProbeSettings
from tests.waiting import wait_for


def probe(command: str, timeout_s: float = 5.0) -> ProbeResult:
    result = build(ProbeSettings(target=f"exec:{command}", timeout_s=timeout_s)).run()
    assert result.detail.isprintable()
    assert len(result.detail) <= 200
    return result


def outcome(command: str, timeout_s: float = 5.0) -> tuple[Outcome, str]:
    result = probe(command, timeout_s)
    return result.outcome, result.detail


def test_exit_status_0_passes() -> None:
    assert outcome("true") == (Outcome.PASS, "exit status 0")


def test_another_exit_status_is_a_doubt_with_its_first_words() -> None:
    assert outcome("sh -c 'echo out of disk; echo more; exit 3'") == (
        Outcome.DOUBT,
        "exit status 3: out of disk",
    )


def test_there_is_no_shell() -> None:
    assert outcome("echo $HOME; false")[0] is Outcome.PASS


def test_a_signal_is_named() -> None:
    assert outcome("sh -c 'kill -SEGV $$'") == (Outcome.DOUBT, "killed by SIGSEGV")


def test_a_signal_without_a_name_is_numbered() -> None:
    assert outcome("sh -c 'kill -35 $$'") == (Outcome.DOUBT, "killed by signal 35")


def test_a_command_that_does_not_exist_is_an_error_of_the_probe() -> None:
    assert outcome("/no/such/command --flag") == (
        Outcome.ERROR,
        "/no/such/command: No such file or directory",
    )


def test_a_file_that_is_no_program_is_an_error_of_the_probe(tmp_path: Path) -> None:
    file = tmp_path / "check"
    file.write_text("#!/no/such/interpreter\n")
    assert outcome(str(file))[0] is Outcome.ERROR
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    assert outcome(str(file))[0] is Outcome.ERROR


def test_a_host_without_descriptors_cannot_run_it() -> None:
    asking = build(ProbeSettings(target="exec:true"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        result = asking.run()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result.outcome is Outcome.ERROR


def test_the_deadline_kills_the_command_and_its_children(tmp_path: Path) -> None:
    pids, script = tmp_path / "pids", tmp_path / "check"
    script.write_text(f"trap '' TERM\nsleep 60 &\necho $! $$ > {pids}\nwait\n")
    assert outcome(f"sh {script}", 1.0) == (Outcome.DOUBT, "timed out after 1 s, killed")
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in started))


def test_children_that_outlive_the_command_do_not_hold_it_up(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    result = probe(f"sh -c 'sleep 60 & echo $! > {pids}; exit 0'", 20.0)
    assert result.outcome is Outcome.PASS
    assert result.duration_s < 10
    wait_for(lambda: not psutil.pid_exists(int(pids.read_text())))


def test_a_command_that_closes_its_output_may_take_its_time() -> None:
    assert outcome("sh -c 'exec >&- 2>&-; sleep 0.1; exit 0'") == (Outcome.PASS, "exit status 0")


def test_where_the_kernel_has_no_pidfd_the_end_is_seen_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(_: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    assert outcome("sh -c 'echo out of disk; exit 3'") == (
        Outcome.DOUBT,
        "exit status 3: out of disk",
    )
    assert outcome("sleep 60", 0.2) == (Outcome.DOUBT, "timed out after 0.2 s, killed")


def test_a_command_that_cannot_be_killed_holds_nobody_up_and_is_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that runs as another user, or waits for a file server that is gone."""
    ran = tmp_path / "ran"
    command = f"sh -c 'test -e {ran} || {{ touch {ran}; exec sleep 60; }}'"
    asking = build(ProbeSettings(target=f"exec:{command}", timeout_s=0.5))
    with monkeypatch.context() as powerless:
        powerless.setattr(os, "killpg", lambda *_: None)
        assert asking.run().detail == "timed out after 0.5 s, killed"
        again = asking.run()
    assert again.outcome is Outcome.DOUBT
    words = re.fullmatch(r"process (\d+) of an earlier probe does not die", again.detail)
    assert words is not None
    os.kill(int(words[1]), signal.SIGKILL)
    wait_for(lambda: asking.run().outcome is Outcome.PASS)


def test_a_command_that_says_more_than_we_keep_is_not_held_up() -> None:
    assert outcome("sh -c 'head -c 10000000 /dev/zero; exit 4'", 20.0)[1].startswith(
        "exit status 4"
    )


def test_what_a_command_says_cannot_forge_a_line_of_the_log() -> None:
    assert "\x1b" not in outcome(r"printf '\033[31mred\rgreen\000'; false")[1]
    _, detail = outcome(r"sh -c 'printf \\033[31mred; exit 1'")
    assert detail.endswith(r"\x1b[31mred")
    assert outcome("sh -c 'echo größe; exit 1'")[1] == r"exit status 1: gr\xf6\xdfe"


def test_a_command_inherits_nothing_that_is_meant_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRETARY_ETCD_PASSWORD_FILE", "NOTIFY_SOCKET", "WATCHDOG_USEC"):
        monkeypatch.setenv(name, "meant-for-us")
    monkeypatch.setenv("APP_HOME", "/srv/app")
    assert outcome("sh -c 'env | grep -q meant-for-us'")[0] is Outcome.DOUBT
    assert outcome("sh -c 'test $APP_HOME = /srv/app'")[0] is Outcome.PASS


def test_descriptors_beyond_a_thousand_are_no_trouble() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert outcome("true")[0] is Outcome.PASS
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
