"""What Docker tells of one container, read strictly and cut down to what a secretary needs.

Nothing else is decoded, and of the environment nothing else is kept: the rest may be secrets.
"""

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from secretary.core import labels, placement
from secretary.core.container import (
    REGISTRATOR_MARK,
    Container,
    Health,
    NetworkMode,
    Published,
)

_JOINED: Final = "container:"
_NS: Final = 1_000_000_000
_LABELS: Final = (labels.MARK, REGISTRATOR_MARK, placement.PROJECT)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_SIGNAL: Final = re.compile(r"RTM(IN|AX)([+-]\d{1,2})?")
_RTMIN, _RTMAX = 34, 64
"""As Docker counts them, whatever the C library."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """One container at one moment. `serves` is False for what is paused, restarting or dead."""

    container: Container
    started_ns: int
    serves: bool
    health: Health
    stop_signal: int
    stop_timeout_s: int | None
    network_of: str | None
    """The id of the container whose network it shares."""

    @property
    def id(self) -> str:
        return self.container.id

    @property
    def started_at(self) -> str:
        return self.container.started_at

    def joined(self, owner: "Inspected | None") -> "Inspected":
        """Return it with the addresses and published ports of the container that it joined.

        It has none when that one is gone, or was started again: it is still in the network of
        the life before, where nobody is reached any more.
        """
        if owner is None or owner.started_ns > self.started_ns:
            return replace(self, container=replace(self.container, networks={}, published=()))
        container = replace(
            self.container,
            network_mode=owner.container.network_mode,
            networks=owner.container.networks,
            published=owner.container.published,
            is_guest=True,
        )
        return replace(self, container=container, network_of=owner.id)


def decode(answer: bytes) -> Inspected:
    """Read `GET /containers/X/json`. ValueError says what is amiss, and quotes no value of it."""
    told = msgspec.json.decode(answer, type=_Told)
    state, config, networks = told.state, told.config, told.network_settings
    mode = told.host_config.network_mode
    has_health_check = state.health is not None and state.health.status is not Health.NONE
    container = Container(
        id=told.id,
        name=told.name.removeprefix("/"),
        image=config.image,
        started_at=state.started_at,
        labels={k: v for k, v in (config.labels or {}).items() if k.startswith(_LABELS)},
        environ=dict(_marked(config.env or [])),
        network_mode=NetworkMode(mode) if mode in ("host", "none") else NetworkMode.OWN,
        networks=_addresses(networks.networks or {}),
        exposed=tuple(sorted(_tcp(config.exposed_ports or {}))),
        published=tuple(_published(networks.ports or {})),
        has_health_check=has_health_check,
    )
    return Inspected(
        container,
        started_ns=nanoseconds(state.started_at),
        serves=state.running and not (state.paused or state.restarting or state.dead),
        health=state.health.status if state.health is not None else Health.NONE,
        stop_signal=_signal_number(config.stop_signal or "SIGTERM"),
        stop_timeout_s=config.stop_timeout,
        network_of=mode.removeprefix(_JOINED) if mode.startswith(_JOINED) else None,
    )


def nanoseconds(time: str) -> int:
    """Return since 1970 what RFC 3339 says, exactly: a float would lose the last digits."""
    match = _TIME.fullmatch(time)
    if match is None:
        raise ValueError("StartedAt is no time")
    seconds = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    since = seconds - epoch
    return (since.days * 86400 + since.seconds) * _NS + int((match[2] or "0").ljust(9, "0"))


def _signal_number(text: str) -> int:
    """Return the number of `SIGTERM`, `TERM`, `15` or `RTMIN+3`; SIGTERM's if it has none."""
    name = text.upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        return int(name)
    if match := _SIGNAL.fullmatch(name):
        return (_RTMIN if match[1] == "IN" else _RTMAX) + int(match[2] or 0)
    known = signal.Signals.__members__.get(f"SIG{name}", signal.SIGTERM)
    return int(known)


def _marked(environ: list[str]) -> list[tuple[str, str]]:
    pairs = (entry.partition("=") for entry in environ if entry.startswith(REGISTRATOR_MARK))
    return [(name, value) for name, equals, value in pairs if equals]


def _tcp(ports: Iterable[str]) -> list[int]:
    """Return the numbers of `80/tcp` and the like."""
    numbers = (port.removesuffix("/tcp") for port in ports if port.endswith("/tcp"))
    return [int(number) for number in numbers if number.isascii() and number.isdigit()]


def _published(ports: "dict[str, list[_Binding] | None]") -> list[Published]:
    return [
        Published(number, binding.host_ip or "0.0.0.0", int(binding.host_port))  # noqa: S104
        for number in sorted(_tcp(ports))
        for binding in ports[f"{number}/tcp"] or ()
        if binding.host_port not in ("", "0")
    ]


def _addresses(networks: "dict[str, _Endpoint | None]") -> dict[str, str]:
    pairs = ((name, end.ip or end.ipv6) for name, end in networks.items() if end is not None)
    return {name: ip for name, ip in pairs if ip}


class _Endpoint(msgspec.Struct):
    ip: str = msgspec.field(name="IPAddress", default="")
    ipv6: str = msgspec.field(name="GlobalIPv6Address", default="")


class _Binding(msgspec.Struct, rename="pascal"):
    host_port: str
    host_ip: str = ""


class _NetworkSettings(msgspec.Struct, rename="pascal"):
    networks: dict[str, _Endpoint | None] | None = None
    ports: dict[str, list[_Binding] | None] | None = None


class _HealthState(msgspec.Struct, rename="pascal"):
    status: Health


class _State(msgspec.Struct, rename="pascal"):
    running: bool
    started_at: str
    paused: bool = False
    restarting: bool = False
    dead: bool = False
    health: _HealthState | None = None


class _Config(msgspec.Struct, rename="pascal"):
    image: str = ""
    labels: dict[str, str] | None = None
    env: list[str] | None = None
    exposed_ports: dict[str, msgspec.Raw] | None = None
    stop_signal: str | None = None
    stop_timeout: int | None = None


class _HostConfig(msgspec.Struct, rename="pascal"):
    network_mode: str = ""


class _Told(msgspec.Struct, rename="pascal"):
    id: str
    name: str
    state: _State
    config: _Config
    host_config: _HostConfig
    network_settings: _NetworkSettings
