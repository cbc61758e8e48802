"""`exec:command args` passes when the command exits with 0.

No shell; its own process group, killed as a whole when the command is done or out of time.
"""

import contextlib
import os
import select
import signal
import subprocess
from typing import IO, Final, cast

from secretary.agent.ports import Outcome, ProbeResult
from secretary.agent.probes.connection import result
from secretary.agent.probes.deadline import Deadline
from secretary.core.values import command

MOST_OUTPUT: Final = 4096


class CommandProbe:
    def __init__(self, text: str, timeout_s: float) -> None:
        """ValueError when `text` cannot be split into arguments."""
        self._arguments = command(text)
        self._timeout_s = timeout_s

    def run(self) -> ProbeResult:
        deadline = Deadline(self._timeout_s)
        try:
            process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environ(),
            )
        except OSError as error:
            detail = f"{self._arguments[0]}: {error.strerror}"
            return result(Outcome.ERROR, detail, deadline)
        with process:
            try:
                output = _watch(process, deadline)
            except TimeoutError:
                return result(
                    Outcome.DOUBT, f"timed out after {self._timeout_s:g} s, killed", deadline
                )
            finally:
                _kill_group(process)
        if process.returncode == 0:
            return result(Outcome.PASS, "exit status 0", deadline)
        said = output.decode(errors="replace").strip().partition("\n")[0]
        ended = f"exit status {process.returncode}"
        if process.returncode < 0:
            ended = f"killed by {signal.Signals(-process.returncode).name}"
        return result(Outcome.DOUBT, f"{ended}: {said}" if said else ended, deadline)


def _watch(process: subprocess.Popen[bytes], deadline: Deadline) -> bytes:
    """Wait until the command ends and return how its output began. TimeoutError at the deadline.

    Its children may hold the pipe open for ever: its own end is what counts. What it says beyond
    the beginning is read and dropped, so that it never waits for us.
    """
    output = b""
    pipe = cast("IO[bytes]", process.stdout).fileno()
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()  # select() takes no descriptor above 1023
        poll.register(ended, select.POLLIN)
        poll.register(pipe, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll(deadline.left_s() * 1000)]
            if pipe in ready:
                chunk = os.read(pipe, MOST_OUTPUT)
                output = (output + chunk)[:MOST_OUTPUT]
                if not chunk:
                    poll.unregister(pipe)
            elif ended in ready:
                return output
    finally:
        os.close(ended)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # As a container's first process we inherit what the command has left, and must wait for it.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)


def _environ() -> dict[str, str]:
    """What a command inherits: not what is meant for this program."""
    ours = ("SECRETARY_", "NOTIFY_SOCKET", "WATCHDOG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
