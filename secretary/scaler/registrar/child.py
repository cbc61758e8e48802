"""`secretary run` as a process of ours, which does not outlive us."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

_NOT_FOR_OTHERS: Final = (
    "SECRETARY_", "NOTIFY_SOCKET", "WATCHDOG_", "DIGITALOCEAN_", "OS_",
)  # fmt: skip
"""Our own settings, which would win over the file; and clouds' tokens, which it has no use for."""


_STDERR: Final = 2


class Child:
    """Runs from the moment it is made. All its calls are for the thread that made it."""

    def __init__(self, settings: Path) -> None:
        """Start it by this file. OSError when that cannot be done."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_OTHERS)}
        run = (sys.executable, "-m", "secretary", "run", "--config", str(settings))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "secretary.scaler.tied", str(os.getpid()), *run],
            stdin=subprocess.DEVNULL,
            stdout=_STDERR,
            env=environ,
            # A terminal's Ctrl-C is for us: we tell it when to leave.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def status(self) -> int | None:
        """Return its exit status, negative for a signal's; None while it runs."""
        return self._process.poll()

    def reread(self) -> bool:
        """Let it read its file again; False when it cannot be told yet.

        Until it has come so far that it takes a SIGHUP, that would be its end.
        """
        if not self._takes_hangups():
            return False
        self._process.send_signal(signal.SIGHUP)
        return True

    def end(self, timeout_s: float) -> None:
        """Let it withdraw its records, for so long, and kill it then.

        Killed at once, for 0 s, it leaves them to whoever comes next, or to their leases' end.
        """
        if timeout_s > 0:
            self._process.terminate()
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                _log.warning("the secretary for machines did not end in %g s: killed", timeout_s)
        self._process.kill()
        self._process.wait()

    def _takes_hangups(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("SigCgt:"):
                    return bool(int(line.split()[1], 16) >> (signal.SIGHUP - 1) & 1)
        return False
