"""A command with a deadline, whose words go to the log.

Its output goes to a file rather than a pipe: a daemon that it leaves behind may hold a pipe open
for ever. At the deadline it is killed with all that it has started; before it, what it leaves
running is none of our business.
"""

import contextlib
import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Final

from secretary.core.values import printable

_log = logging.getLogger(__name__)

MOST_OUTPUT: Final = 4096
MOST_SAID: Final = 300
_NUMBERS: Final = re.compile(r"\.secretary-\w+|secretary-check-\w+|[0-9]+")
_NOT_FOR_OTHERS: Final = ("SECRETARY_", "NOTIFY_SOCKET", "WATCHDOG_")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: `status` is None when it did not start or did not end in time.

    `output` are the first 4 KiB of what it wrote; `said` is one line that says how it ended, with
    the beginning of that.
    """

    status: int | None
    said: str
    output: str = ""


class Commands:
    """Runs commands one at a time or in several threads; `stop` ends what runs, for good."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._told: dict[str, str] = {}

    def run(self, arguments: Sequence[str], timeout_s: float) -> Ran:
        """Run a command, without a shell, for `timeout_s` at most."""
        with tempfile.TemporaryFile() as output:
            process = self._start(arguments, output)
            if isinstance(process, Ran):
                return process
            try:
                status = process.wait(timeout_s)
                ended = f"exit status {status}" if status >= 0 else f"killed by {_name(-status)}"
            except subprocess.TimeoutExpired:
                _kill(process)
                status, ended = None, f"not done after {timeout_s:g} s, killed"
            except BaseException:  # interrupted
                _kill(process)
                raise
            finally:
                with self._lock:
                    self._running.discard(process)
            output.seek(0)
            lines = _lines(output.read(MOST_OUTPUT))
        self._tell(arguments[0], lines)
        said = " ".join(lines)[:MOST_SAID]
        why = f"{arguments[0]}: {ended}" + (f": {said}" if said else "")
        return Ran(status, why, "\n".join(lines))

    def _tell(self, program: str, lines: list[str]) -> None:
        """Log what a program says, unless it says the same as the last time, numbers apart."""
        shape = _NUMBERS.sub("", " ".join(lines))
        if self._told.get(program) != shape:
            for line in lines:
                _log.info("%s: %s", program, line)
        self._told[program] = shape

    def stop(self) -> None:
        """Kill what runs, and start nothing any more."""
        with self._lock:
            self._stopping = True
            for process in self._running:
                _kill(process, wait=False)

    def _start(self, arguments: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes] | Ran:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_OTHERS)}
        with self._lock:
            if self._stopping:
                return Ran(None, f"{arguments[0]}: not run, we are stopping")
            try:
                process = subprocess.Popen(
                    list(arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=environ,
                )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                return Ran(None, f"{arguments[0]}: cannot be run: {reason}")
            self._running.add(process)
            return process


def _kill(process: subprocess.Popen[bytes], *, wait: bool = True) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if wait:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)


def _lines(output: bytes) -> list[str]:
    text = output.decode(errors="replace")
    return [printable(line.strip()) for line in text.splitlines() if line.strip()]


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"
