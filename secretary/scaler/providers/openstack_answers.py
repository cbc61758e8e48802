"""What Nova and its companions tell, decoded strictly, and what it means of a machine.

Keys that are not used here are not looked at, so that a fault's traceback or the first password
of a machine is never held.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from secretary.core.errors import CloudAway
from secretary.core.values import printable
from secretary.scaler.ports import Seen, Standing

T = TypeVar("T")
Version = tuple[int, int]
"""A microversion of Nova's API."""

_MOST_OF_A_REASON: Final = 200
_STANDINGS: Final = {
    "BUILD": Standing.BOOTING,
    "REBUILD": Standing.BOOTING,
    "REBOOT": Standing.BOOTING,
    "HARD_REBOOT": Standing.BOOTING,
    "RESIZE": Standing.BOOTING,
    "REVERT_RESIZE": Standing.BOOTING,
    "ERROR": Standing.BROKEN,
    "PAUSED": Standing.BROKEN,
    "RESCUE": Standing.BROKEN,
    "SHELVED": Standing.BROKEN,
    "SHELVED_OFFLOADED": Standing.BROKEN,
    "SHUTOFF": Standing.BROKEN,
    "SUSPENDED": Standing.BROKEN,
}
"""A status that is not here (ACTIVE, MIGRATING, PASSWORD, VERIFY_RESIZE, UNKNOWN while its host
is silent) is one of a machine that runs, as far as anybody knows: none is given up for a word."""
_GONE: Final = ("DELETED", "SOFT_DELETED")
_DELETING: Final = ("deleting", "soft-deleting")


@dataclass(frozen=True, slots=True)
class Answer:
    asked: str
    """Who was asked for what, to begin a message with."""
    status: int
    body: bytes

    def checked(self) -> "Answer":
        """Return it. CloudAway when somebody on the way has answered, in a language of his own."""
        try:
            if self.body:
                msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CloudAway(f"{self.asked} is answered by something that is not JSON") from error
        return self

    def read(self, kind: type[T]) -> T:
        """Decode it. CloudAway when it is not what it should be."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CloudAway(f"{self.asked} is answered by what cannot be read: {error}") from error


class Flavor(msgspec.Struct, frozen=True):
    """A machine has the name alone, or the id alone where Nova is older than microversion 2.47."""

    id: str = ""
    name: str = ""
    original_name: str = ""


class Address(msgspec.Struct, frozen=True):
    addr: str
    version: int
    kind: str = msgspec.field(name="OS-EXT-IPS:type", default="fixed")


class Fault(msgspec.Struct, frozen=True):
    message: str = ""


class Server(msgspec.Struct, frozen=True):
    id: str
    name: str
    status: str
    created: datetime
    flavor: Flavor = Flavor()
    addresses: dict[str, list[Address]] = {}
    tags: list[str] = []
    metadata: dict[str, str] = {}
    fault: Fault | None = None
    task: str | None = msgspec.field(name="OS-EXT-STS:task_state", default=None)

    @property
    def is_gone(self) -> bool:
        """Whether only its entry is left, which an administrator may still see."""
        return self.status in _GONE

    def seen(self, network: str) -> Seen:
        """`network` is the name of the one at which proxies reach it; any, where it is empty."""
        standing = _STANDINGS.get(self.status, Standing.ACTIVE)
        detail = self.status
        if self.fault is not None and self.fault.message:
            detail = f"{detail}: {printable(self.fault.message)[:_MOST_OF_A_REASON]}"
        if self.task in _DELETING:
            standing, detail = Standing.BROKEN, f"{detail}, {self.task}"
        return Seen(
            provider_id=self.id,
            name=self.name,
            standing=standing,
            address=address(self.addresses, network),
            created=self.created,
            cost_class=self.flavor.original_name or self.flavor.id,
            detail=detail,
        )


def address(addresses: Mapping[str, list[Address]], network: str) -> str | None:
    """Return the fixed address on the network, IPv4 before IPv6; None while there is none.

    A floating one leads in from outside, and proxies are inside.
    """
    on_network = [addresses.get(network, [])] if network else list(addresses.values())
    fixed = [each for some in on_network for each in some if each.kind == "fixed"]
    return min(fixed, key=lambda each: each.version).addr if fixed else None


class Link(msgspec.Struct, frozen=True):
    rel: str


class ServerPage(msgspec.Struct, frozen=True):
    items: list[Server] = msgspec.field(name="servers")
    links: list[Link] = msgspec.field(name="servers_links", default_factory=list)


class FlavorPage(msgspec.Struct, frozen=True):
    items: list[Flavor] = msgspec.field(name="flavors")
    links: list[Link] = msgspec.field(name="flavors_links", default_factory=list)


class OneServer(msgspec.Struct, frozen=True):
    server: Server


class Identified(msgspec.Struct, frozen=True):
    id: str
    name: str = ""


class Made(msgspec.Struct, frozen=True):
    server: Identified


class Images(msgspec.Struct, frozen=True):
    images: list[Identified]


class Networks(msgspec.Struct, frozen=True):
    networks: list[Identified]


class OneNetwork(msgspec.Struct, frozen=True):
    network: Identified


class Core(msgspec.Struct, frozen=True):
    """Of a machine's CPU: its time in ns, or the percentage where the hypervisor tells that."""

    time: int | None = None
    utilisation: int | None = None


class Diagnostics(msgspec.Struct, frozen=True):
    """As of microversion 2.48."""

    cpu_details: list[Core] = []
