"""Where a container's service is for its clients, and where for our probe. Never guesses.

Networks or ports that cannot be told apart are a SettingsError that lists them.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from secretary.core.container import Container, NetworkMode, Published
from secretary.core.errors import SettingsError
from secretary.core.settings import Advertise, HostPort

PROJECT: Final = "com.docker.compose.project"


@dataclass(frozen=True, slots=True)
class Place:
    """`at` is what is published, and `probe_at` what is asked: the app itself, on no detour."""

    at: HostPort
    probe_at: HostPort
    why: str


def place(
    container: Container,
    advertise: Advertise,
    *,
    network: str | None,
    port: int | None,
    host_ip: Callable[[], str],
) -> Place:
    """Return where a service is. `host_ip` tells the address of the host, and may raise.

    `network` and `port` (the container's own) are what was asked for, if anything.
    """
    if advertise is Advertise.CONTAINER or container.network_mode is NetworkMode.HOST:
        port = port or _only_port(container, _declared(container), "declares")
        ip, why = _own_address(container, network, host_ip)
        return Place(HostPort(ip, port), HostPort(ip, port), why)
    port = port or _only_port(container, (p.port for p in container.published), "publishes")
    at = _passed_on(container, port, host_ip)
    why = f"where the host passes on port {port} of container {container.name}"
    return Place(at, HostPort(_inner_address(container, network), port), why)


def _own_address(
    container: Container, network: str | None, host_ip: Callable[[], str]
) -> tuple[str, str]:
    if container.network_mode is NetworkMode.HOST:
        return host_ip(), f"container {container.name} uses the host's network"
    chosen = _network(container, network)
    return container.networks[chosen], f"container {container.name} in network {chosen}"


def _network(container: Container, wanted: str | None) -> str:
    networks = container.networks
    if not networks:
        raise SettingsError(f"container {container.name}: is in no network")
    if wanted is not None:
        # Compose puts its project's name before that of a network.
        full = f"{container.labels.get(PROJECT, '')}_{wanted}"
        for name in (wanted, full):
            if name in networks:
                return name
        raise SettingsError(
            f"container {container.name}: is not in network {wanted}, but in {_listed(networks)}"
        )
    if len(networks) > 1:
        ways = _listed(f"{name} ({ip})" for name, ip in networks.items())
        raise SettingsError(
            f"container {container.name}: is in several networks, {ways}: choose by --network or"
            " the label secretary.network"
        )
    return next(iter(networks))


def _inner_address(container: Container, network: str | None) -> str:
    """Return an address for the probe: the host reaches all of its containers' networks."""
    if network is None and len(container.networks) > 1:
        network = min(container.networks)
    return container.networks[_network(container, network)]


def _declared(container: Container) -> Iterable[int]:
    return (*container.exposed, *(published.port for published in container.published))


def _only_port(container: Container, ports: Iterable[int], verb: str) -> int:
    found = sorted(set(ports))
    if len(found) == 1:
        return found[0]
    which = f"several ports, {_listed(map(str, found))}" if found else "no port"
    raise SettingsError(
        f"container {container.name}: {verb} {which}: choose by --port or the label secretary.port"
    )


def _passed_on(container: Container, port: int, host_ip: Callable[[], str]) -> HostPort:
    """Return where the host passes on a port, if there is one way that others can use."""
    ways = [published for published in container.published if published.port == port]
    if not ways:
        raise SettingsError(
            f"container {container.name}: port {port} is not published; publish it, or advertise"
            " the container's own address (--advertise or the label secretary.advertise)"
        )
    usable = [way for way in ways if not ipaddress.ip_address(way.host_ip).is_loopback]
    if not usable:
        raise SettingsError(
            f"container {container.name}: port {port} is published on {ways[0].host_ip} only,"
            " which no other host can reach"
        )
    found = list(dict.fromkeys(_addresses(usable, host_ip)))
    if not found:
        raise SettingsError(
            f"container {container.name}: port {port} is published on {usable[0].host_ip} only, and"
            f" the host's address is {host_ip()}: publish it there as well, or give another --ip"
        )
    if len(found) > 1:
        raise SettingsError(
            f"container {container.name}: port {port} is published several times,"
            f" {_listed(map(str, found))}: publish it once"
        )
    return found[0]


def _addresses(ways: Sequence[Published], host_ip: Callable[[], str]) -> Iterator[HostPort]:
    """Yield where each way begins. Docker may publish another port for each family of addresses."""
    anywhere = [way for way in ways if ipaddress.ip_address(way.host_ip).is_unspecified]
    yield from (HostPort(way.host_ip, way.host_port) for way in ways if way not in anywhere)
    if anywhere:
        ip = host_ip()
        version = ipaddress.ip_address(ip).version
        same = [way for way in anywhere if ipaddress.ip_address(way.host_ip).version == version]
        yield from (HostPort(ip, way.host_port) for way in same)


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
