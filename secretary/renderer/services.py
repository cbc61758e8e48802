"""The directory as templates see it: services by name, each with its instances, sorted.

Immutable, and what did not change is the same object as before: that is how a rendering knows
what it may keep. Knows neither templates nor where the records come from.
"""

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Final

from secretary.core.instance import Instance, State


class Text:
    """Free text out of a record. It has no text form of its own, so that it must be quoted."""

    __slots__ = ("raw",)

    def __init__(self, raw: str) -> None:
        self.raw = raw

    def __str__(self) -> str:
        raise TypeError("free text of a record needs a filter, such as quote, json or word")

    __repr__ = __format__ = __add__ = __radd__ = __mod__ = __str__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self.raw == (other.raw if isinstance(other, Text) else other)

    def __hash__(self) -> int:
        return hash(self.raw)

    def __bool__(self) -> bool:
        return bool(self.raw)


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """One instance of a service. Nothing in it but `meta` can hold a special character."""

    record: Instance
    draining: bool = False
    """Somebody wants it to get no new requests: its own record, or an operator."""
    stale: bool = False
    """Its record is gone, and a guard keeps it for a while."""
    place: tuple[bool, bytes, int] = field(init=False)
    """Where it stands among the others: by address as numbers, and by port."""

    def __post_init__(self) -> None:
        ip = ipaddress.ip_address(self.record.ip)
        object.__setattr__(self, "place", (ip.version == 6, ip.packed, self.record.port))

    @property
    def addr(self) -> str:
        return self.record.addr

    @property
    def ip(self) -> str:
        return self.record.ip

    @property
    def host(self) -> str:
        return self.record.host

    @property
    def port(self) -> int:
        return self.record.port

    @property
    def weight(self) -> int:
        return self.record.weight

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def tags(self) -> tuple[str, ...]:
        return self.record.tags

    @property
    def meta(self) -> Mapping[str, Text]:
        return {key: Text(value) for key, value in self.record.meta.items()}

    @property
    def since(self) -> datetime:
        return self.record.since

    @property
    def state(self) -> str:
        return State.DRAINING.value if self.draining else self.record.state.value

    @property
    def active(self) -> bool:
        """Whether it takes new requests."""
        return self.weight > 0 and self.state == State.UP.value


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A service and its instances, sorted by address and port; one for each `ip:port`."""

    name: str
    instances: tuple[Server, ...] = ()
    heaviest: int = field(init=False)
    """The greatest weight of them."""

    def __post_init__(self) -> None:
        heaviest = max((server.weight for server in self.instances), default=0)
        object.__setattr__(self, "heaviest", heaviest)

    def __iter__(self) -> Iterator[Server]:
        return iter(self.instances)

    def __len__(self) -> int:
        return len(self.instances)

    def __bool__(self) -> bool:
        return True  # an empty service is one too

    @property
    def active(self) -> tuple[Server, ...]:
        """Those that take new requests."""
        return tuple(server for server in self.instances if server.active)

    def share(self, server: Server, most: int) -> int:
        """Return the weight, scaled so that the heaviest of the service has at most `most`."""
        if self.heaviest <= most or server.weight == 0:
            return server.weight
        return max(1, server.weight * most // self.heaviest)


@dataclass(frozen=True, slots=True)
class View:
    """All services by name, as they stood at `revision` of the records, `drains` of the drains.

    A service that had instances once stays, empty.
    """

    revision: int = 0
    drains: int = 0
    services: Mapping[str, Service] = field(default_factory=dict)

    def merged(self, other: "View", names: Collection[str]) -> "View":
        """Return this view with the services of `names` as they are in `other`."""
        services = dict(self.services)
        for name in names:
            if name in other.services:
                services[name] = other.services[name]
            else:
                services.pop(name, None)
        return View(other.revision, other.drains, services)

    def changed(self, other: "View") -> list[str]:
        """Return the names of the services that differ, sorted."""
        names = self.services.keys() | other.services.keys()
        return sorted(n for n in names if self.services.get(n) is not other.services.get(n))


Endpoint = tuple[str, str]
"""A service's name and an IP address: what an operator's drain speaks of."""

NONE: Final[frozenset[Endpoint]] = frozenset()


class Roster:
    """Turns what stands in the directory into views, each at the cost of what has changed.

    `known` are names that are always there, if only as empty services.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._servers: dict[str, Server] = {}
        self._by_service: dict[str, dict[str, Server]] = {}
        self._services: dict[str, Service] = {name: Service(name) for name in known}

    def view(
        self,
        revision: int,
        drains: int,
        instances: Mapping[str, Instance],
        stale: Collection[str],
        draining: Collection[Endpoint] = NONE,
    ) -> View:
        """Return the view of `instances` by key; `stale` are keys, `draining` endpoints."""
        touched: set[str] = set()
        for key in self._servers.keys() - instances.keys():
            touched.add(self._remove(key))
        for key, record in instances.items():
            before = self._servers.get(key)
            is_stale = bool(stale) and key in stale
            drains_it = bool(draining) and (
                (record.name, record.ip) in draining or (record.name, record.addr) in draining
            )
            if (
                before is not None
                and before.record is record
                and before.stale is is_stale
                and before.draining is drains_it
            ):
                continue
            if before is not None:
                touched.add(self._remove(key))
            self._servers[key] = server = Server(record, drains_it, is_stale)
            self._by_service.setdefault(record.name, {})[key] = server
            touched.add(record.name)
        for name in touched:
            self._services[name] = _service(name, self._by_service.get(name, {}).values())
        services = {name: self._services[name] for name in sorted(self._services)}
        return View(revision, drains, services)

    def _remove(self, key: str) -> str:
        name = self._servers.pop(key).name
        del self._by_service[name][key]
        return name


def _service(name: str, servers: Iterable[Server]) -> Service:
    by_addr: dict[str, Server] = {}
    for server in servers:
        # One endpoint under two keys: the record of the later start is the true one.
        other = by_addr.get(server.addr)
        if other is None or _rank(server) > _rank(other):
            by_addr[server.addr] = server
    return Service(name, tuple(sorted(by_addr.values(), key=attrgetter("place"))))


def _rank(server: Server) -> tuple[bool, datetime, str]:
    return not server.stale, server.since, server.id
