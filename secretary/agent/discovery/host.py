"""What this host says of its own addresses. Sends no packet but the questions to the resolver."""

import socket
from collections.abc import Iterator

import ifaddr

from secretary.core.settings import HostPort


def interfaces() -> Iterator[tuple[str, str]]:
    """Yield each interface's name with each of its addresses; a zone follows a `%`."""
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if isinstance(ip.ip, str):
                yield adapter.name, ip.ip
            else:
                address, _, zone = ip.ip
                yield adapter.name, f"{address}%{zone}" if zone else address


def source_addresses(endpoint: HostPort) -> list[str]:
    """Return the addresses from which this host would speak to `endpoint`.

    Connecting a datagram socket looks up the route and sends nothing. The list is empty when
    the name cannot be resolved or nothing leads there.
    """
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    sources = []
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as way:
                way.connect(address)
                sources.append(str(way.getsockname()[0]))
        except OSError:
            continue
    return sources
