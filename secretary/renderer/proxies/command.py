"""A command with a deadline, whose words go to the log.

Its output goes to a file rather than a pipe: a daemon that it leaves behind may hold a pipe open
for ever. The file is in memory, so that a full disk takes nobody's words. At the deadline the
command is killed with all that it has started; before it, what it leaves running is none of our
business.
"""

import contextlib
import fcntl
import logging
import os
import re
import select
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from secretary.core.values import printable

_log = logging.getLogger(__name__)

MOST_OUTPUT: Final = 4096
MOST_SAID: Final = 300
_TAIL: Final = 1024
_LEFT_OUT: Final = "[...]"
_ASIDE: Final = re.compile(r"\[(?:debug|info|notice|warn|warning)\]", re.IGNORECASE)
"""In a line that is no reason to refuse: what nginx and HAProxy say before they come to it."""
_NUMBERS: Final = re.compile(r"\.secretary-\w+|secretary-check-\w+|[0-9]+")
_NOT_FOR_OTHERS: Final = ("SECRETARY_", "NOTIFY_SOCKET", "WATCHDOG_")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: `status` is None when it did not start or did not end in time.

    `output` is what it wrote, 4 KiB of it from both ends, what it only warns of behind the rest;
    `said` is one line that says how it ended, with the beginning of that.
    """

    status: int | None
    said: str
    output: str = ""


class Commands:
    """Runs commands one at a time or in several threads; `stop` ends what runs, for good.

    `stopping` is set from then on, for those who wait for what a command has begun.
    """

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._told: dict[str, str] = {}

    def run(self, arguments: Sequence[str], timeout_s: float) -> Ran:
        """Run a command, without a shell, for `timeout_s` at most."""
        try:
            output = _scratch()
        except OSError as error:
            return Ran(None, f"{arguments[0]}: cannot be run: {error.strerror or error}")
        try:
            return self._run(arguments, timeout_s, output)
        finally:
            os.close(output)

    def stop(self) -> None:
        """Kill what runs, and start nothing any more."""
        with self._lock:
            self.stopping.set()
            for process in self._running:
                _kill(process, wait=False)

    def _run(self, arguments: Sequence[str], timeout_s: float, output: int) -> Ran:
        process = self._start(arguments, output)
        if isinstance(process, Ran):
            return process
        try:
            status = _end_of(process, timeout_s)
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
        lines = _lines(_kept(output))
        self._tell(arguments, lines)
        lines = _reasons_first(lines)
        said = " ".join(lines)[:MOST_SAID]
        why = f"{arguments[0]}: {ended}" + (f": {said}" if said else "")
        return Ran(status, why, "\n".join(lines))

    def _tell(self, arguments: Sequence[str], lines: list[str]) -> None:
        """Log what a command says, unless it says the same as the last time, numbers apart."""
        command, shape = (_NUMBERS.sub("", " ".join(words)) for words in (arguments, lines))
        if self._told.get(command, "") != shape:
            for line in lines:
                _log.info("%s: %s", arguments[0], line)
        self._told[command] = shape

    def _start(self, arguments: Sequence[str], output: int) -> subprocess.Popen[bytes] | Ran:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_OTHERS)}
        with self._lock:
            if self.stopping.is_set():
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
    if process.returncode is None:  # else its number may be another's
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if wait:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)


def _scratch() -> int:
    """Open a file without a name: in memory, on a disk where the kernel gives none there."""
    try:
        file = os.memfd_create("output")
    except OSError:
        file, name = tempfile.mkstemp()
        os.unlink(name)
    # What a script writes to /dev/stderr goes where the rest does, not over it.
    fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
    return file


def _kept(output: int) -> bytes:
    """Return the beginning of a file, and its end: the reason is often the last word."""
    if (size := os.fstat(output).st_size) <= MOST_OUTPUT:
        return os.pread(output, MOST_OUTPUT, 0)
    between = f"\n{_LEFT_OUT}\n".encode()
    head = os.pread(output, MOST_OUTPUT - _TAIL - len(between), 0)
    tail = os.pread(output, _TAIL, size - _TAIL)
    return head + between + (tail.partition(b"\n")[2] or tail)


def _end_of(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """Wait until it ends; TimeoutExpired. As soon as it does: Popen's own wait looks now and then.

    An old kernel has no pidfd, a sandbox may forbid it.
    """
    try:
        end = os.pidfd_open(process.pid)
    except OSError:
        return process.wait(timeout_s)
    try:
        poll = select.poll()  # select() takes no descriptor above 1023
        poll.register(end, select.POLLIN)
        return process.wait(None if poll.poll(timeout_s * 1000) else 0)
    finally:
        os.close(end)


def _lines(output: bytes) -> list[str]:
    text = output.decode(errors="replace")
    return [printable(line.strip()) for line in text.splitlines() if line.strip()]


def _reasons_first(lines: Sequence[str]) -> list[str]:
    """Return the lines, what is a warning or less behind the rest."""
    reasons, asides = list[str](), list[str]()
    kind = reasons
    for line in lines:
        # With | HAProxy goes on in a line of its own.
        if not line.startswith("|") and line != _LEFT_OUT:
            kind = asides if _ASIDE.search(line) else reasons
        kind.append(line)
    return reasons + asides


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"
