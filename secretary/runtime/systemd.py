"""What systemd is told of us: the sd_notify protocol, as sd_notify(3) has it.

A message that cannot be delivered is logged once and changes nothing.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)
_SEND_TIMEOUT_S = 1.0


class Notifier:
    """Puts events into sd_notify's words. `send` takes one message and raises nothing.

    `watchdog_interval_s` is how often `watchdog()` is due; None when nobody waits for it.
    """

    def __init__(
        self, send: Callable[[str], None], watchdog_interval_s: float | None = None
    ) -> None:
        self._send = send
        self.watchdog_interval_s = watchdog_interval_s

    def ready(self) -> None:
        """Started, or done with reloading."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Settings are being read again; `ready()` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        """Show `text` in `systemctl status`, as one line."""
        self._send(f"STATUS={' '.join(text.split())}")

    def watchdog(self) -> None:
        """Still alive."""
        self._send("WATCHDOG=1")

    def stopping(self, within_s: float) -> None:
        """Begun to stop, which may take `within_s`, also where the unit allows less."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={round(within_s * 1e6)}")


def notifier(environ: Mapping[str, str]) -> Notifier:
    """Return the notifier that `environ` asks for: one that says nothing without NOTIFY_SOCKET."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return Notifier(lambda _: None)
    return Notifier(_Sender(address), _watchdog_interval_s(environ))


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    """Half of what systemd waits, as sd_watchdog_enabled(3) advises."""
    if environ.get("WATCHDOG_PID") not in (None, str(os.getpid())):
        return None  # meant for a parent that has left us its environment
    usec = environ.get("WATCHDOG_USEC", "")
    return int(usec) / 2e6 if usec.isdecimal() and int(usec) else None


class _Sender:
    """Opens a socket for each message, as libsystemd does: a restarted listener is no trouble."""

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._failed = False

    def __call__(self, message: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_TIMEOUT_S)
                sender.sendto(message.encode("utf-8", "backslashreplace"), self._address)
        except OSError as error:
            if not self._failed:
                _log.warning("NOTIFY_SOCKET: systemd cannot be told anything: %s", error)
            self._failed = True
