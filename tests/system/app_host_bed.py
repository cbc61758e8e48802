"""Nodes as deploy/pacemaker/app-host makes them: nginx before each app, for the balancers alone.

A node is settled before its first boot; then nginx and secretary-render are to be enabled.
"""

import http.client
from dataclasses import dataclass
from typing import Final

from tests.system.node import Node
from tests.system.node_root import CHECKOUT
from tests.system.units_bed import SAMPLE_APP

APP_HOST: Final = CHECKOUT / "deploy/pacemaker/app-host"
LOG: Final = "/var/log/nginx/balanced.log"
_ADDRESS: Final = "10.0.0.21"
_PORT: Final = 8080
_ON_LOOPBACK: Final = f"""\
[Service]
ExecStart=
ExecStart={SAMPLE_APP} 127.0.0.1 %i %H:%i 0.02 /dev/null
"""
_PLACES: Final = {
    "balanced.conf": "/etc/nginx/conf.d",
    "balancers.allow.j2": "/etc/secretary",
    "render.toml": "/etc/secretary",
    "nginx.service.d/balanced.conf": "/etc/systemd/system",
    "app-secretary@.service.d/nginx.conf": "/etc/systemd/system",
}


def settle_app_host(node: Node, *ports: int) -> None:
    """Install all that an app host has, with a site for each port; apps listen on loopback.

    After `units_bed.settle_apps`, which lets them listen everywhere.
    """
    for name, place in _PLACES.items():
        node.write(f"{place}/{name}", (APP_HOST / name).read_text())
    for port in ports:
        node.write(f"/etc/nginx/sites-enabled/app-{port}.conf", site(node.ip, port))
    node.write("/etc/systemd/system/app@.service.d/without-docker.on-loopback.conf", _ON_LOOPBACK)
    (node.disk / "etc/nginx/sites-enabled/default").unlink()


def site(address: str, port: int) -> str:
    """Return a site as its README has it edited; an IPv6 address goes without brackets."""
    text = (APP_HOST / f"app-{_PORT}.conf").read_text()
    assert text.count(_ADDRESS) == 2, "its first lines say in how many places it is"
    text = text.replace(str(_PORT), str(port))
    if ":" in address:
        text = text.replace(f"listen {_ADDRESS}", f"listen [{address}]")
    return text.replace(_ADDRESS, address)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an app host answered."""

    status: int
    body: str


def ask(
    host: str, port: int, *, by: str, path: str = "/", forwarded_for: tuple[str, ...] = ()
) -> Asked:
    """Ask from an address of this host; each of `forwarded_for` is a line X-Forwarded-For."""
    connection = http.client.HTTPConnection(host, port, timeout=5, source_address=(by, 0))
    try:
        connection.putrequest("GET", path)
        for line in forwarded_for:
            connection.putheader("X-Forwarded-For", line)
        connection.endheaders()
        answer = connection.getresponse()
        return Asked(answer.status, answer.read().decode().strip())
    finally:
        connection.close()
