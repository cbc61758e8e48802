"""Which address to publish: decided from what the host has and how it reaches etcd.

Never guesses: candidates that cannot be told apart are an AddressError that lists them. What
is asked of the host comes in through `interfaces` and `routes`; see `host.py`.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from secretary.agent.discovery import host
from secretary.agent.ports import Chosen
from secretary.core.errors import AddressError, AddressPending
from secretary.core.instance import IPAddress
from secretary.core.settings import HostPort

Interfaces: TypeAlias = Callable[[], Iterable[tuple[str, str]]]
"""Returns each address of the host with its interface's name: `("eth0", "10.0.0.5")`."""

Routes: TypeAlias = Callable[[HostPort], Sequence[str]]
"""Returns the host's addresses from which it would speak to an endpoint."""


def choose(
    spec: str,
    endpoints: Sequence[HostPort],
    *,
    interfaces: Interfaces = host.interfaces,
    routes: Routes = host.source_addresses,
) -> Chosen:
    """Return the address that `spec` means on this host.

    `spec` is an address, `iface:NAME`, a CIDR or `auto`; `endpoints` are etcd's. Raises
    AddressPending when it means none, and AddressError when it means several.
    """
    if spec == "auto":
        return _toward_etcd(endpoints, routes)
    if spec.startswith("iface:"):
        return _of_interface(spec, _sound(interfaces()))
    if "/" in spec:
        return _inside(spec, _sound(interfaces()))
    return Chosen(spec, "as given")


def _sound(found: Iterable[tuple[str, str]]) -> list[tuple[str, IPAddress]]:
    """Return each address once; those with a zone mean nothing on another host."""
    pairs = dict.fromkeys((name, ipaddress.ip_address(ip)) for name, ip in found)
    return [(name, ip) for name, ip in pairs if not ip.is_link_local]


def _of_interface(spec: str, found: Sequence[tuple[str, IPAddress]]) -> Chosen:
    wanted = spec.removeprefix("iface:")
    addresses = _preferred([ip for name, ip in found if name == wanted])
    if not addresses:
        raise AddressPending(
            f"--ip {spec}: {wanted} has no address that others can use; this host has"
            f" {_listed(found)}"
        )
    if len(addresses) > 1:
        raise AddressError(
            f"--ip {spec}: {wanted} has several addresses, {_joined(addresses)}; give one of"
            " them as --ip"
        )
    ip = addresses[0]
    return Chosen(str(ip), f"the only IPv{ip.version} address of {wanted}")


def _inside(spec: str, found: Sequence[tuple[str, IPAddress]]) -> Chosen:
    network = ipaddress.ip_network(spec)
    inside = [(name, ip) for name, ip in found if ip in network]
    addresses = sorted({str(ip) for _, ip in inside})
    if not addresses:
        raise AddressPending(
            f"--ip {spec}: no address of this host is inside; it has {_listed(found)}"
        )
    if len(addresses) > 1:
        raise AddressError(
            f"--ip {spec}: several addresses are inside, {_listed(inside)}; give one of them"
            " as --ip"
        )
    return Chosen(addresses[0], f"the only address inside {spec}, of {inside[0][0]}")


def _toward_etcd(endpoints: Sequence[HostPort], routes: Routes) -> Chosen:
    """A loopback route says nothing to others, so any other candidate is better than it."""
    toward: dict[IPAddress, HostPort] = {}
    for endpoint in endpoints:
        for ip in _preferred([ipaddress.ip_address(ip) for ip in routes(endpoint)]):
            toward.setdefault(ip, endpoint)
    candidates = [ip for ip in toward if not ip.is_loopback] or list(toward)
    if not candidates:
        raise AddressPending(
            f"--ip auto: no route to etcd at {_joined(endpoints)}; give the address as --ip"
        )
    if len(candidates) > 1:
        ways = " and ".join(f"{ip} (toward etcd {toward[ip]})" for ip in candidates)
        raise AddressError(
            f"--ip auto: {ways} cannot be told apart; give the one that others can reach as --ip"
        )
    ip = candidates[0]
    why = f"source address of the route to etcd {toward[ip]}"
    return Chosen(str(ip), f"{why}; only this host can reach it" if ip.is_loopback else why)


def _preferred(addresses: Sequence[IPAddress]) -> list[IPAddress]:
    """Return the IPv4 addresses, or the IPv6 ones when there is none; link-local ones never."""
    usable = [ip for ip in addresses if not (ip.is_link_local or ip.is_unspecified)]
    return [ip for ip in usable if ip.version == 4] or usable


def _listed(found: Iterable[tuple[str, IPAddress]]) -> str:
    return _joined(f"{ip} ({name})" for name, ip in found) or "none"


def _joined(parts: Iterable[object]) -> str:
    return ", ".join(str(part) for part in parts)
