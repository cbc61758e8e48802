"""What operators have taken out of rotation: an address of a service for each key they set.

The key is `/secretary/drain/<name>/<ip>`, or `…/<ip>:<port>` for one of several apps at that
address, whatever its value; deleting it ends the drain.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from secretary.core.instance import NAME_PATTERN
from secretary.core.settings import HostPort
from secretary.core.snapshot import Change

DRAINS: Final = "/secretary/drain"
_WITH_PORT: Final = re.compile(r"(?:(?P<four>[0-9.]+)|\[(?P<six>[^\]]+)\]):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Drains:
    """`endpoints` are pairs of a service's name and an address, which may have a port, by key."""

    revision: int = 0
    endpoints: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)

    def apply(self, revision: int, changes: Iterable[Change]) -> Self:
        """Return the drains at `revision`, after `changes`."""
        endpoints, rejected = dict(self.endpoints), dict(self.rejected)
        for change in changes:
            endpoints.pop(change.key, None)
            rejected.pop(change.key, None)
            if change.value is None:
                continue
            try:
                endpoints[change.key] = _endpoint(change.key)
            except ValueError as error:
                rejected[change.key] = str(error)
        return type(self)(revision, endpoints, rejected)

    def listed(self, revision: int, changes: Iterable[Change]) -> Self:
        """Return the drains at `revision`, where `changes` are all that there is."""
        return type(self)().apply(revision, changes)

    def holds_as(self, other: Self) -> bool:
        """Whether it says the same as `other`, revisions apart."""
        return self.endpoints == other.endpoints and self.rejected == other.rejected


def _endpoint(key: str) -> tuple[str, str]:
    name, slash, ip = key.removeprefix(f"{DRAINS}/").partition("/")
    if not slash or not re.match(NAME_PATTERN, name):
        raise ValueError(f"not {DRAINS}/<name>/<ip>")
    try:
        return name, _address(ip)
    except ValueError:
        raise ValueError(f"not {DRAINS}/<name>/<ip>: the last part is no address") from None


def _address(text: str) -> str:
    """Return an address, or one with a port, as a record has it. ValueError."""
    match = _WITH_PORT.fullmatch(text)
    if match is None:
        return str(ipaddress.ip_address(text))
    ip = ipaddress.ip_address(match["four"] or match["six"])
    return str(HostPort(str(ip), int(match["port"])))
