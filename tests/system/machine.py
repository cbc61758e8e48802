"""A machine without its system: a disk, a switch, a cable into a bridge; systemd-nspawn plays it.

What is on its disk and what it does once it is on are its system's affair.
"""

import contextlib
import re
import signal
import subprocess
import uuid
from pathlib import Path
from typing import Final

import psutil

from secretary.devetcd import mortal
from tests.system.bridge import Bridge
from tests.system.cgroup import Cgroup

_OFF_S: Final = 60.0
_REBOOT: Final = 133
"""With this status nspawn ends when the system wants to be booted again."""
_ENVIRON: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_NSPAWN_LOCK": "0",  # nobody else runs this disk
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",  # what hosts have by now, and Docker's runc needs
}


class Machine:
    """Off at first; `options` are further arguments of systemd-nspawn."""

    def __init__(self, disk: Path, bridge: Bridge, console: Path, *options: str) -> None:
        self._console = console
        self._name = f"n{uuid.uuid4().hex[:9]}"
        self._cable = f"vb-{self._name}"  # may have 15 letters
        self._command = (
            *("systemd-nspawn", "--quiet", "--boot", "--keep-unit", "--register=no"),
            *(f"--directory={disk}", f"--machine={self._name}", f"--network-bridge={bridge.name}"),
            *("--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe"),
            *options,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._running = contextlib.ExitStack()

    @property
    def console(self) -> str:
        """What it has shown since it was made."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    @property
    def is_on(self) -> bool:
        """Whether it was turned on and has not gone off by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def first_process(self) -> int | None:
        """The id, on this host, of the first process of its system; None if there is none."""
        if self._process is None:
            return None
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children():
                with contextlib.suppress(OSError):
                    status = Path(f"/proc/{child.pid}/status").read_text()
                    if re.search(r"^NSpid:\t[0-9]+\t1$", status, re.MULTILINE):
                        return child.pid
        return None

    def turn_on(self) -> None:
        assert self._process is None, "it is on"
        cgroup = self._running.enter_context(Cgroup())
        with self._console.open("ab") as console:
            self._process = subprocess.Popen(
                mortal(cgroup.command(self._command)),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=_ENVIRON,
                process_group=0,
            )

    def goes_off(self) -> bool:
        """Wait until its system has ended; return whether it is to be turned on again."""
        assert self._process is not None, "it is off"
        status = self._process.wait(_OFF_S)
        self._clear()
        assert status in {0, _REBOOT}, f"status {status}: {self.console}"
        return status == _REBOOT

    def kill(self) -> None:
        """Pull the plug, if it is on: not even the kernel says goodbye to those it talks with."""
        if self._process is None:
            return
        first = self.first_process
        self._link("down", check=False)
        if first is None:
            self._process.send_signal(signal.SIGKILL)
        else:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(first).kill()
        self._process.wait(_OFF_S)
        self._clear()

    def unplug(self) -> None:
        """Pull the cable."""
        self._link("down")

    def plug_in(self) -> None:
        self._link("up")

    @property
    def is_plugged_in(self) -> bool:
        """Whether its cable carries anything."""
        with contextlib.suppress(OSError):
            return Path("/sys/class/net", self._cable, "carrier").read_text() == "1\n"
        return False

    def shun(self, others: bool) -> None:
        """Let nothing pass between this machine and the others that do, or all again."""
        command = ["bridge", "link", "set", "dev", self._cable, "isolated"]
        subprocess.run([*command, "on" if others else "off"], check=True, capture_output=True)

    def _clear(self) -> None:
        """Take away what a system that has ended leaves."""
        self._process = None
        # The kernel takes its time to remove it, and the next start wants the name.
        subprocess.run(["ip", "link", "delete", self._cable], check=False, capture_output=True)
        with contextlib.suppress(OSError):
            Path("/run/systemd/nspawn/propagate", self._name).rmdir()
        self._running.close()

    def _link(self, state: str, *, check: bool = True) -> None:
        command = ["ip", "link", "set", self._cable, state]
        subprocess.run(command, check=check, capture_output=True)
