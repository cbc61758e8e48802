"""The settings of a secretary that speaks for several machines. Pure.

Every place is looked at before it is written down: by one that cannot be meant the whole file
would be refused.
"""

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from secretary.core.instance import check_publishable
from secretary.core.machine import Machine
from secretary.core.scaling import ScaleGroup
from secretary.core.settings import EtcdSettings, KeyBy, LogSettings
from secretary.core.values import printable

Value: TypeAlias = str | int | Sequence[str]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an app is on its machine."""

    ip: str
    port: int
    is_shared: bool = False
    """Whether the port belongs to the machine, since others may have the same address."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the apps are; `wrong` says of machines that have no place why."""

    found: frozenset[Place]
    wrong: frozenset[str]


def places(group: ScaleGroup, machines: Iterable[Machine]) -> Places:
    """Return the places of these machines. One whose address is not known yet is left out."""
    found: dict[tuple[str, int], Place] = {}
    wrong: set[str] = set()
    for machine in machines:
        if machine.address is None:
            continue
        # Its own comes first: where it has one, the group's is what the machine maps it to.
        port = machine.port or group.port
        if port is None:
            wrong.add(f"{machine.id}: its port is not known: give the group's port")
            continue
        try:
            address = ipaddress.ip_address(machine.address)
            check_publishable(address)
        except ValueError:
            shown = printable(machine.address)
            wrong.add(f"{machine.id}: no app can be at the address {shown!r}")
            continue
        place = Place(str(address), port, machine.port is not None)
        found.setdefault((place.ip, place.port), place)
    return Places(frozenset(found.values()), frozenset(wrong))


@dataclass(frozen=True, slots=True)
class Common:
    """What holds for all machines alike, besides what their group says."""

    etcd: EtcdSettings
    prefix: str
    log: LogSettings
    ttl_s: int


def settings_file(group: ScaleGroup, common: Common, found: Iterable[Place]) -> str | None:
    """Return the text of a file for `secretary run --config`; None where there is no place."""
    lines = _lines(_top(common))
    tables = [_service(group, place) for place in sorted(found)]
    for table in tables:
        lines += ["", "[[service]]", *_lines(table)]
    return "\n".join(lines) + "\n" if tables else None


def _top(common: Common) -> dict[str, Value | None]:
    etcd, log = common.etcd, common.log
    scheme = "https" if etcd.secure else "http"
    return {
        "etcd": [f"{scheme}://{endpoint}" for endpoint in etcd.endpoints],
        "etcd-user": etcd.user,
        "etcd-password-file": etcd.password_file,
        "etcd-cacert": etcd.cacert,
        "etcd-cert": etcd.cert,
        "etcd-key": etcd.key,
        "prefix": common.prefix,
        "ttl": f"{common.ttl_s}s",
        "status": "off",
        "log-format": log.format.value,
        "log-level": log.level.value,
    }


def _service(group: ScaleGroup, place: Place) -> dict[str, Value | None]:
    return {
        "name": group.service,
        "ip": place.ip,
        "port": place.port,
        "key-by": (KeyBy.IP_PORT if place.is_shared else KeyBy.IP).value,
        "probe": group.probe,
    }


def _lines(table: Mapping[str, Value | None]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]


def _toml(value: Value) -> str:
    # In what stands here JSON is TOML, but for one character that must be escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
