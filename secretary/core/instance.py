"""One app at one address: the record's fields, and what each may hold.

The fields stand in the order in which they are written. An instance that breaks a rule cannot
be made: neither by this program nor by decoding what somebody else has put into the directory.
"""

import enum
import ipaddress
from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from secretary.core.settings import HostPort, KeyBy

# `$` would also match before a trailing newline in Python; the look-ahead forbids that and
# means nothing more in the dialect of JSON Schema.
NAME_PATTERN: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$(?!\n)"
HOST_PATTERN: Final = r"^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$(?!\n)"

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
HostName = Annotated[str, Meta(pattern=HOST_PATTERN)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Weight = Annotated[int, Meta(ge=0, le=65535)]
MetaValue = Annotated[str, Meta(max_length=256)]


class State(enum.Enum):
    UP = "up"
    DRAINING = "draining"


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One record. Exactly one of `ipv4_addr` and `ipv6_addr` is set, in canonical form.

    Raises ValueError when made with values that do not agree with one another.
    """

    host: HostName
    ipv4_addr: str | UnsetType = UNSET
    ipv6_addr: str | UnsetType = UNSET
    port: Port
    addr: str
    name: Name
    id: Name
    weight: Weight = 100
    tags: tuple[Name, ...] = ()
    meta: dict[Name, MetaValue] = {}
    state: State
    since: Annotated[datetime, Meta(tz=True)]
    schema: Annotated[int, Meta(ge=1)]

    def __post_init__(self) -> None:
        given = [ip for ip in (self.ipv4_addr, self.ipv6_addr) if isinstance(ip, str)]
        if len(given) != 1:
            raise ValueError("exactly one of ipv4_addr and ipv6_addr is required")
        if isinstance(self.ipv4_addr, str):
            address: IPAddress = ipaddress.IPv4Address(self.ipv4_addr)
        else:
            address = ipaddress.IPv6Address(given[0])
        check_publishable(address)
        if str(address) != given[0]:
            raise ValueError(f"address {given[0]!r} is not written as {address}")
        if self.addr != str(HostPort(given[0], self.port)):
            raise ValueError(f"addr {self.addr!r} does not agree with the address and port")
        for key, value in self.meta.items():
            if not value.isprintable():
                raise ValueError(f"meta {key}: not printable")

    @property
    def ip(self) -> str:
        return self.ipv4_addr if isinstance(self.ipv4_addr, str) else str(self.ipv6_addr)

    def key(self, prefix: str, key_by: KeyBy) -> str:
        """Return where the record stands: `<prefix>/<name>/<ip, ip:port or id>`."""
        last = {KeyBy.IP: self.ip, KeyBy.IP_PORT: self.addr, KeyBy.ID: self.id}[key_by]
        return f"{prefix}/{self.name}/{last}"


def check_publishable(address: IPAddress) -> None:
    """Raise ValueError for an address that no client could ever connect to."""
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{address} is not the address of a host")
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise ValueError(f"{address} has a zone, which means nothing on another host")
