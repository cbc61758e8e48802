"""`exec:command args` passes when the command exits with 0.

No shell; its own process group, killed as a whole when the command is done or out of time.
A command that cannot be killed, such as one of another user, is left behind, but only one.
"""

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from typing import IO, Final, cast

from secretary.agent.ports import Outcome, ProbeResult
from secretary.agent.probes.connection import result
from secretary.agent.probes.deadline import Deadline
from secretary.core.values import command

MOST_OUTPUT: Final = 4096
DYING_S: Final = 0.5
"""How long a killed command may take to be gone; the kernel frees what it held."""
_LOOK_S: Final = 0.02
"""How often to look for the end where the kernel or a sandbox has no pidfd."""


class CommandProbe:
    def __init__(self, text: str, timeout_s: float) -> None:
        """ValueError when `text` cannot be split into arguments."""
        self._arguments = command(text)
        self._timeout_s = timeout_s
        self._undead: subprocess.Popen[bytes] | None = None

    def run(self) -> ProbeResult:
        deadline = Deadline(self._timeout_s)
        if self._undead is not None and self._undead.poll() is None:
            detail = f"process {self._undead.pid} of an earlier probe does not die"
            return result(Outcome.DOUBT, detail, deadline)
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
        with cast("IO[bytes]", process.stdout) as pipe:
            try:
                output = _watch(process.pid, pipe.fileno(), deadline)
            except TimeoutError:
                detail = f"timed out after {self._timeout_s:g} s, killed"
                return result(Outcome.DOUBT, detail, deadline)
            finally:
                self._end(process)
        status = process.returncode
        if status == 0:
            return result(Outcome.PASS, "exit status 0", deadline)
        ended = f"exit status {status}" if status > 0 else f"killed by {_name(-status)}"
        said = output.decode(errors="replace").strip().partition("\n")[0]
        return result(Outcome.DOUBT, f"{ended}: {said}" if said else ended, deadline)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill what is left of the command's group and wait for it, within reason."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(DYING_S)
        except subprocess.TimeoutExpired:
            self._undead = process
            return
        self._undead = None
        # As a container's first process we inherit what the command has left, and must wait for it.
        patience = Deadline(DYING_S)
        with contextlib.suppress(ChildProcessError, TimeoutError):
            while patience.left_s():
                if os.waitpid(-process.pid, os.WNOHANG) == (0, 0):
                    select.poll().poll(_LOOK_S * 1000)


def _watch(pid: int, pipe: int, deadline: Deadline) -> bytes:
    """Wait until the command ends and return how its output began. TimeoutError at the deadline.

    Its children may hold the pipe open, or fill it, for ever: its own end is what counts. What it
    says beyond the beginning is read and dropped, so that it never waits for us.
    """
    output = b""
    os.set_blocking(pipe, False)
    poll = select.poll()  # select() takes no descriptor above 1023
    poll.register(pipe, select.POLLIN)
    with _end_of(pid) as end:
        if end is not None:
            poll.register(end, select.POLLIN)
        while True:
            wait_s = deadline.left_s() if end is not None else min(deadline.left_s(), _LOOK_S)
            poll.poll(wait_s * 1000)
            # Looked at before the last read: what it has said by its end is in the pipe.
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            if (chunk := _read(pipe)) == b"":
                with contextlib.suppress(KeyError):  # told so before
                    poll.unregister(pipe)
            output = (output + (chunk or b""))[:MOST_OUTPUT]
            if ended:
                return output


def _read(pipe: int) -> bytes | None:
    """Return what is in the pipe: None if nothing yet, no bytes if nothing ever again."""
    try:
        return os.read(pipe, 16 * MOST_OUTPUT)
    except BlockingIOError:
        return None


@contextlib.contextmanager
def _end_of(pid: int) -> Iterator[int | None]:
    """Yield a descriptor that can be read once the process has ended; None if there is none.

    An old kernel has none, a sandbox may forbid it, and there may be no descriptor to spare.
    """
    try:
        end = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield end
    finally:
        os.close(end)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"


def _environ() -> dict[str, str]:
    """What a command inherits: not what is meant for this program."""
    ours = ("SECRETARY_", "NOTIFY_SOCKET", "WATCHDOG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
