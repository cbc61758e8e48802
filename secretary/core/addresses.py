"""The kinds of value that name a place on the network: see `values.py`.

Resolves no name and opens nothing. An address that carries a user name or password is refused,
and shown without it.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from secretary.core.instance import HOST_PATTERN, check_publishable
from secretary.core.settings import HostPort
from secretary.core.values import Kind, printable

ETCD_PORT: Final = 2379

_INTERFACE: Final = re.compile(r"iface:[A-Za-z0-9._@-]{1,15}")
_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<address>[^\[\]]*:[^\[\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?"
)
_SHOWABLE: Final = re.compile(
    r"([a-z]+:/{0,2})?(\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]*)(:[0-9]*)?(/[^?#\s]*)?"
)


def host(text: str) -> str:
    """Read a host's name or address; IPv6 without brackets and in canonical form."""
    if ":" in text:
        if "%" in text:
            raise ValueError("an address with a zone means nothing to others")
        return str(_address(text))
    if re.fullmatch(r"[0-9.]+", text):
        return str(_address(text))
    if not re.match(HOST_PATTERN, text):
        raise ValueError("the host is neither a name nor an address")
    return text


def host_port(text: str) -> HostPort:
    """Read `host:port`, `address:port` or `[address]:port`."""
    return _authority(text, None)


def _authority(text: str, default_port: int | None, least_port: int = 1) -> HostPort:
    match = _AUTHORITY.fullmatch(text)
    if match is None or (match["port"] is None and default_port is None):
        raise ValueError("that is not a host and a port")
    port = int(match["port"] or default_port or 0)
    if not least_port <= port <= 65535:
        raise ValueError(f"the port is not one of {least_port} to 65535")
    return HostPort(host(match["address"] or match["name"]), port)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        # The library's message quotes the text.
        raise ValueError("the host is not an address") from None


def url(text: str, default_port: int) -> tuple[SplitResult, HostPort]:
    """Split an absolute URL whose host and port are sound, and which carries no user."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it holds spaces, control characters or letters beyond ASCII")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("that is not a host and a port") from None
    if "@" in parts.netloc:
        raise ValueError("a user or password does not belong here")
    return parts, _authority(parts.netloc, default_port)


def _etcd_url(text: str) -> tuple[bool, HostPort]:
    if not text.startswith(("http://", "https://")):
        raise ValueError
    parts, endpoint = url(text, ETCD_PORT)
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise ValueError("nothing may follow the host and port")
    return parts.scheme == "https", endpoint


def _status_address(text: str) -> HostPort | None:
    return None if text == "off" else _authority(text, None, least_port=0)


def _ip(text: str) -> str:
    if text == "auto" or _INTERFACE.fullmatch(text):
        return text
    try:
        if "/" in text:
            return str(ipaddress.ip_network(text))
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError from None
    check_publishable(address)
    return str(address)


def without_secrets(text: str) -> str:
    """Show scheme, host, port and path; neither user nor query nor a command's arguments."""
    match = _SHOWABLE.match(text)
    if match is None or "@" in text:
        scheme, mark, _ = text.partition("://")
        return f"{printable(scheme)}://…" if mark and scheme.isalpha() else "…"
    return printable(match[0]) + ("" if match.end() == len(text) else "…")


ETCD_URL: Final = Kind(
    _etcd_url,
    "URLS",
    f"http://host:port or https://host:port, the port {ETCD_PORT} when left out",
    show=without_secrets,
)
STATUS_ADDRESS: Final = Kind(
    _status_address, "HOST:PORT", "host:port, [address]:port or off; port 0 takes a free one"
)
SERVER_NAME: Final = Kind(host, "NAME", "the name or address of a host")
IP: Final = Kind(
    _ip, "IP", "an address of a host, iface:NAME, a network such as 10.0.0.0/8, or auto"
)
