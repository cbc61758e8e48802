"""Two real nodes under Pacemaker, and DigitalOcean's reserved address between them.

In place of the program a line of curl asks the API: DigitalOcean's client is not in a node, and
speaks without TLS to its own host only. `reserved_ip_bed.py` has the real one.
"""

import re
from typing import Final

from tests.clouds.digitalocean import DigitalOceanApi
from tests.clouds.digitalocean_metadata import DigitalOceanMetadata
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.system.pair_bed import OCF, SHIPPED
from tests.system.reserved_ip_bed import ADDRESS
from tests.waiting import wait_for

_PROGRAM: Final = "/usr/local/bin/secretary"
_TOKEN: Final = "/etc/secretary/digitalocean.token"
_ASKS_API: Final = """\
#!/bin/sh
# In place of: ha reserved-ip assign ADDRESS --droplet NUMBER
exec curl --silent --fail --max-time 20 --header "Authorization: Bearer $(cat {token})" \
    --json '{{"type": "assign", "droplet_id": '"$6"'}}' "{api}/v2/reserved_ips/$4/actions"
"""
_CLUSTER: Final = """\
property stonith-enabled=false dc-deadtime=2s
rsc_defaults resource-stickiness=100 migration-threshold=1 failure-timeout=60s
primitive address ocf:secretary:reserved-ip \
    params ip={address} secretary={program} metadata={metadata} \
    op start interval=0 timeout=60s \
    op stop interval=0 timeout=20s \
    op monitor interval=1s timeout=20s
"""
_SETTLED_S: Final = 60.0


class ReservedPair:
    """Two droplets, and what they are told."""

    def __init__(self, nodes: NodeBed, api: DigitalOceanApi) -> None:
        self.api = api
        api.account.reserved.add(ADDRESS)
        self.nodes = {api.account.made(name).id: nodes.make(name) for name in ("lb1", "lb2")}
        self._bed = nodes

    @property
    def droplets(self) -> dict[str, int]:
        return {node.ip: id_ for id_, node in self.nodes.items()}

    def start(self, metadata: DigitalOceanMetadata) -> None:
        one, two = self.nodes.values()
        said = {"address": ADDRESS, "program": _PROGRAM, "metadata": metadata.url}
        one.write("/root/cluster.crm", _CLUSTER.format(**said))
        (token,) = self.api.account.tokens
        here = str(self._bed.bridge.network[0]).removesuffix("0")
        corosync = (SHIPPED / "corosync.conf").read_text().replace("10.0.0.", here)
        for node in (one, two):
            node.write("/etc/corosync/corosync.conf", corosync)
            agent = (SHIPPED / "ocf/reserved-ip").read_text()
            node.write(f"{OCF}/reserved-ip", agent, 0o755)
            node.write(_PROGRAM, _ASKS_API.format(token=_TOKEN, api=self.api.url), 0o755)
            node.write(_TOKEN, token, 0o600)
        self._bed.boot(one, two)
        one("corosync-keygen", "-l")
        key = (one.disk / "etc/corosync/authkey").read_bytes()
        for node in (one, two):
            (node.disk / "etc/corosync/authkey").write_bytes(key)
            (node.disk / "etc/corosync/authkey").chmod(0o400)
            node.systemctl("start", "--no-block", "pacemaker")
        wait_for(lambda: self.online() == {one.name, two.name}, timeout_s=_SETTLED_S)
        one("crm", "configure", "load", "update", "/root/cluster.crm")

    def _status(self, node: Node) -> str:
        return node("crm_mon", "--one-shot", "--output-as=xml", check=False).stdout

    def _first_on(self) -> Node:
        return next(node for node in self.nodes.values() if node.first_process is not None)

    def online(self) -> set[str]:
        """The nodes that Pacemaker sees."""
        told = self._status(self._first_on())
        return set(re.findall(r'<node name="(\w+)" id="\d+" online="true"', told))

    def _holder(self) -> Node | None:
        """The node that has the address, if the cluster and DigitalOcean say the same of it."""
        found = self.api.account.reserved.get(ADDRESS)
        told = self._status(self._first_on())
        runs = re.search(r'role="Started"[^>]*>\s*<node name="(\w+)"', told)
        node = self.nodes.get(found.droplet_id or 0) if found else None
        return node if node and runs and runs[1] == node.name else None

    def holder(self) -> Node:
        """Wait until the address is somewhere, and return where."""
        return wait_for(self._holder, timeout_s=_SETTLED_S, what="the address was anywhere")

    def goes_to(self, node: Node) -> None:
        """Wait until the address is there."""
        is_there = f"the address was on {node.name}"
        wait_for(lambda: self._holder() is node, timeout_s=_SETTLED_S, what=is_there)

    def other(self, node: Node) -> Node:
        (other,) = set(self.nodes.values()) - {node}
        return other

    def settles(self) -> None:
        """Let the cluster forget what has failed and look anew, and wait until it is done."""
        self._first_on()("crm_resource", "--refresh")
        self._first_on()("crm_resource", "--wait", "--timeout=30")

    def moves(self) -> int:
        return sum(asked.startswith("POST") for asked in self.api.asked)
