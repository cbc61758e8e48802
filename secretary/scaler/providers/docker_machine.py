"""A container as a machine: what Docker is to make of a group's settings, and what it tells of one.

Pure. A tag is a label: `secretary-<group>` is that of the group, the user's own may have a value
after an equals sign. `secretary.` labels are for the agent of the Docker host, which registers
the machine by them.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from secretary.core.errors import SettingsError
from secretary.core.scaling import MachineSettings, ScaleGroup
from secretary.core.target import OF_THE_APP, names_no_other
from secretary.core.values import printable
from secretary.scaler.ports import Seen, Standing

BRIDGE: Final = "bridge"
"""Docker's own network, where the group names none."""
USER_DATA: Final = "USER_DATA"
"""The variable in which a machine has its user data."""

_SIZE: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,9})?)?(?::([0-9]{1,12})([bkmg]?))?")
_BYTES: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SHARED: Final = re.compile(r"host|none|container:.*")
_STANDINGS: Final = {
    "created": Standing.BOOTING,
    "restarting": Standing.BOOTING,
    "running": Standing.ACTIVE,
    "paused": Standing.ACTIVE,
}
"""All others have ended, or are about to: exited, dead, removing."""


class Listed(msgspec.Struct, rename="pascal"):
    """A container as `GET /containers/json` tells it."""

    id: str
    names: list[str]
    image: str
    created: int
    """Seconds since 1970."""
    state: str
    status: str
    """In words, with the exit code and the health."""
    labels: dict[str, str] | None = None
    network_settings: "_Networks | None" = None


class _Endpoint(msgspec.Struct):
    ip: str = msgspec.field(name="IPAddress", default="")
    ipv6: str = msgspec.field(name="GlobalIPv6Address", default="")


class _Networks(msgspec.Struct, rename="pascal"):
    networks: dict[str, _Endpoint | None] | None = None


def tag_of(group: str) -> str:
    """Return the tag, and so the label, by which a group's machines are found."""
    return f"secretary-{group}"


def check(group: ScaleGroup) -> None:
    """SettingsError says what Docker has no use for, or cannot make."""
    machine = group.machine
    network = machine.network
    for key in ("region", "ssh_keys"):
        if getattr(machine, key):
            raise SettingsError(f"group {group.name}: {key}: Docker has none: leave it out")
    if _SHARED.fullmatch(network):
        raise SettingsError(
            f"group {group.name}: network: is {printable(network)!r}, where machines have no"
            " address of their own: name a Docker network"
        )
    if group.probe and not group.register and not names_no_other(group.probe):
        raise SettingsError(
            f"group {group.name}: probe: is {printable(group.probe)!r}, and what stands in a"
            f" container's label is to be one of {OF_THE_APP}"
        )
    _limits(group.name, machine)


def body(group: ScaleGroup, given: str | None) -> Mapping[str, Any]:
    """Return what `POST /containers/create` is to make; `given` is the user data."""
    machine = group.machine
    return {
        "Image": machine.image,
        "Env": [] if given is None else [f"{USER_DATA}={given}"],
        "Labels": _labels(group),
        "HostConfig": {
            **_limits(group.name, machine),
            "NetworkMode": machine.network or BRIDGE,
            "RestartPolicy": {"Name": "unless-stopped"},
        },
    }


def seen(listed: Listed, network: str) -> Seen:
    """Return a container as a machine whose proxies are in `network`."""
    networks = (listed.network_settings and listed.network_settings.networks) or {}
    endpoint = networks.get(network or BRIDGE)
    return Seen(
        listed.id,
        # A link (`other/alias`) is a second name.
        next((name[1:] for name in listed.names if name.count("/") == 1), listed.id[:12]),
        _STANDINGS.get(listed.state, Standing.BROKEN),
        (endpoint.ip or endpoint.ipv6 or None) if endpoint is not None else None,
        datetime.fromtimestamp(listed.created, UTC),
        listed.image,
        detail=listed.status or listed.state,
    )


def _labels(group: ScaleGroup) -> Mapping[str, str]:
    labels = dict(_pair(tag) for tag in group.machine.tags)
    labels[tag_of(group.name)] = ""
    if group.register:
        return labels
    # fmt: off
    told = {
        "name": group.service, "port": group.port, "probe": group.probe,
        "advertise": "container", "network": group.machine.network or BRIDGE,
    }
    # fmt: on
    return labels | {f"secretary.{key}": str(value) for key, value in told.items() if value}


def _pair(tag: str) -> tuple[str, str]:
    key, _, value = tag.partition("=")
    return key, value


def _limits(group: str, machine: MachineSettings) -> Mapping[str, int]:
    """Return what a size such as `0.5`, `1:256m` or `:1g` means."""
    limits: dict[str, int] = {}
    if not machine.size:
        return limits
    match = _SIZE.fullmatch(machine.size)
    cpus, amount, unit = match.groups() if match else (None, None, None)
    if cpus is not None:
        limits["NanoCpus"] = round(float(cpus) * 1e9)
    if amount is not None:
        limits["Memory"] = int(amount) * _BYTES[unit or ""]
    if not limits or 0 in limits.values():
        raise SettingsError(
            f"group {group}: size: is {printable(machine.size)!r}, allowed: CPUS, CPUS:MEMORY or"
            " :MEMORY, such as 0.5, 1:256m or :1g"
        )
    return limits
