"""`secretary dev`, as `make demo` runs it; tests/conftest.py sees that nothing stays behind."""

import signal
import subprocess
import sys

import pytest

from tests.secretaries import environ, run
from tests.waiting import wait_for

STEPS = ("register", "app crash", "app recovery", "secretary kill", "graceful stop")


def test_the_tour_sees_every_step_in_etcd() -> None:
    told = run("dev", "--tour", timeout_s=100)
    assert told.returncode == 0, told.stdout + told.stderr
    numbered = [line for line in told.stdout.splitlines() if line[:1].isdigit()]
    assert [
        line.split(".", 1)[1].strip().startswith(step)
        for line, step in zip(numbered, STEPS, strict=True)
    ] == [True] * 5
    assert told.stderr == ""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_leaves_nothing_behind(signum: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "secretary", "dev", "--tour"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ(PYTHONUNBUFFERED="1"),
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        wait_for(lambda: "register" in next(lines), timeout_s=30)
        process.send_signal(signum)
        process.communicate(timeout=30)
    assert process.returncode == 130
