"""A bridge of this host with a network of its own, of which the host has the first address.

It leads nowhere else. Where the host's firewall forwards nothing, what stays on this bridge is let
through as long as it is there.
"""

import contextlib
import ipaddress
import random
import subprocess
import uuid
from ipaddress import IPv4Network
from typing import Final, Self

_SPACE: Final = IPv4Network("10.208.0.0/12")
_SIZE: Final = 24


class Bridge:
    """Is there while entered. `ip` is the host's address on it."""

    def __init__(self) -> None:
        self.name = f"sec{uuid.uuid4().hex[:8]}"
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.network = free_network(_SPACE, _SIZE)
            self.ip = str(self.network[1])
            # An address of its own. Else it has that of a port, and another when that port goes,
            # which nodes that talk with this host would find out seconds later.
            mac = f"02:{uuid.uuid4().bytes[:5].hex(':')}"
            _run("ip", "link", "add", self.name, "address", mac, "type", "bridge")
            stack.callback(_run, "ip", "link", "delete", self.name)
            _run("ip", "address", "add", f"{self.ip}/{_SIZE}", "dev", self.name)
            _run("ip", "link", "set", self.name, "up")
            if _forwards_nothing():
                rule = ("FORWARD", "-i", self.name, "-o", self.name, "-j", "ACCEPT")
                _run("iptables", "-I", *rule)
                stack.callback(_run, "iptables", "-D", *rule)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def free_network(space: IPv4Network, size: int) -> IPv4Network:
    """Return a part of the space to which no route of this host leads yet."""
    told = _run("ip", "-4", "route", "show", "table", "all").split()
    taken = [IPv4Network(word) for word in told if word[0].isdigit() and _is_network(word)]
    pieces = list(space.subnets(new_prefix=size))
    random.SystemRandom().shuffle(pieces)
    return next(piece for piece in pieces if not any(map(piece.overlaps, taken)))


def _is_network(word: str) -> bool:
    try:
        return ipaddress.ip_network(word).version == 4
    except ValueError:
        return False


def _forwards_nothing() -> bool:
    """Whether the host's firewall drops what is forwarded, on bridges too, as Docker has it."""
    try:
        return "-P FORWARD DROP" in _run("iptables", "-S", "FORWARD")
    except (OSError, subprocess.CalledProcessError):
        return False  # without the tool or the table there is no such policy


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
