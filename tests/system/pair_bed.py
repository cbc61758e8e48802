"""A pair of balancers under Pacemaker, and what they balance: deploy/pacemaker on nodes.

`one` and `two` are the balancers; `apps` is an app host with two apps and their secretaries, and an
etcd of three members. The files are those that are shipped, with addresses of the nodes.
"""

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Final

from tests.etcd_bed import Etcdctl
from tests.system.app_host_bed import settle_app_host
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.system.node_root import CHECKOUT
from tests.system.outage import Client
from tests.system.units_bed import AppUnit, settle, settle_apps
from tests.waiting import wait_for

SHIPPED: Final = CHECKOUT / "deploy/pacemaker"
OCF: Final = "/usr/lib/ocf/resource.d/secretary"
HA: Final = ("/opt/secretary/bin/secretary", "ha")
FLOATING: Final = 10
"""The last part of the floating address; those of the nodes begin at 11, as in the files."""
_APP_HOST: Final = "10.0.0.21"
_READY_S: Final = 60.0
_PORTS: Final = (8080, 8081, 8082)
_MEMBERS: Final = {"a": 2379, "b": 2479, "c": 2579}
_ETCD: Final = """\
[Service]
EnvironmentFile=/etc/etcd/%i.env
ExecStart=/usr/bin/etcd --data-dir=/var/lib/etcd-%i --unsafe-no-fsync
Restart=always
RestartSec=200ms
"""
_MEMBER: Final = """\
ETCD_NAME={name}
ETCD_LISTEN_CLIENT_URLS=http://{ip}:{port}
ETCD_ADVERTISE_CLIENT_URLS=http://{ip}:{port}
ETCD_LISTEN_PEER_URLS=http://{ip}:{peer}
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://{ip}:{peer}
ETCD_INITIAL_CLUSTER={cluster}
ETCD_LOGGER=zap
"""


class Pair:
    """Two balancers and the floating address between them."""

    def __init__(self, nodes: NodeBed) -> None:
        self.one, self.two = nodes.make("lb1"), nodes.make("lb2")
        self.apps = nodes.make("apps")
        self.address = str(nodes.bridge.network[FLOATING])
        self.urls = [f"http://{self.apps.ip}:{port}" for port in _MEMBERS.values()]
        self.etcdctl = Etcdctl(self.urls)
        self.app, self.other, self.third = (AppUnit(self.apps, port) for port in _PORTS)
        self._network = str(nodes.bridge.network[0]).removesuffix(".0")
        self.bridge = nodes.bridge
        self._nodes = nodes

    @property
    def balancers(self) -> tuple[Node, Node]:
        return self.one, self.two

    def start(self) -> None:
        """Set it up as README says, and wait until it serves."""
        self._settle_apps()
        for node in self.balancers:
            self._settle_balancer(node)
        self._nodes.boot(self.one, self.two, self.apps)
        self.start_etcd()
        self.apps.systemctl("enable", "--now", "nginx", "secretary-render")
        for node in self.balancers:
            node.systemctl("enable", "secretary-render", "secretary-balancer")
            node.systemctl("start", "secretary-render", "secretary-balancer")
        for app in (self.app, self.other):
            app.node.systemctl("enable", "--now", "--no-block", app.app)
        for app in (self.app, self.other):
            app.registered(self.etcdctl)
        self.one("corosync-keygen", "-l")
        key = (self.one.disk / "etc/corosync/authkey").read_bytes()
        for node in self.balancers:
            authkey = node.disk / "etc/corosync/authkey"
            authkey.write_bytes(key)
            authkey.chmod(0o400)
            node.systemctl("enable", "corosync", "pacemaker")
            node.systemctl("start", "--no-block", "pacemaker")
        wait_for(self.is_a_cluster, timeout_s=_READY_S)
        self.one("crm", "configure", "load", "update", "/root/cluster.crm")
        self.is_ready()

    def start_etcd(self) -> None:
        """Start its members, and wait until they have a leader."""
        self.apps.systemctl("start", *(f"etcd@{name}" for name in _MEMBERS))
        wait_for(self._has_etcd, timeout_s=30)

    def stop_etcd(self) -> None:
        """Kill all of its members at once."""
        members = [f"etcd@{name}" for name in _MEMBERS]
        self.apps.systemctl("kill", "--signal=KILL", *members)
        self.apps.systemctl("stop", *members)

    # What it is like

    def is_ready(self) -> None:
        """Wait until both balancers are well and fresh, one has the address, and it is served."""
        wait_for(self._is_well, timeout_s=_READY_S, what=f"the pair was well: {self.status()}")
        with Client(self.address):
            pass

    def is_a_cluster(self) -> bool:
        """Whether both balancers see each other."""
        online = set(re.findall(r'<node name="(\w+)" id="\d+" online="true"', self.status()))
        return online == {node.name for node in self.balancers}

    def status(self, *more: str) -> str:
        """What Pacemaker says, in XML; empty where nobody says anything."""
        for node in self.balancers:
            if node.first_process is not None:
                with contextlib.suppress(AssertionError):
                    told = node("crm_mon", "--one-shot", "--output-as=xml", *more, check=False)
                    if told.returncode == 0:
                        return told.stdout
        return ""

    def holder(self) -> Node:
        """The balancer that has the address."""
        (holder,) = [node for node in self.balancers if self.has_it(node)]
        return holder

    def others(self, node: Node) -> Node:
        """The other balancer."""
        return self.two if node is self.one else self.one

    def freshness(self) -> list[str]:
        """What the cluster thinks of their configurations: 1 of a fresh one, 0 of a stale one."""
        asked = ("attrd_updater", "--query", "--all", "--name", "secretary-fresh")
        told = self._first_on()(*asked, check=False).stdout
        return re.findall(r'value="([01])"', told)

    def settles(self) -> None:
        """Wait until the cluster has nothing left to do."""
        self._first_on()("crm_resource", "--wait", "--timeout=30")

    def clean_up(self) -> None:
        """Let the cluster forget what has failed, as an operator does who has mended it."""
        self._first_on()("crm", "resource", "cleanup")

    def mislead(self, node: Node) -> None:
        """Let this host, where the clients are, believe that a node has the address."""
        where = (self.address, "lladdr", _mac(node), "dev", self.bridge.name, "nud", "reachable")
        subprocess.run(["ip", "neighbour", "replace", *where], check=True)

    def is_sought_at(self, node: Node) -> bool:
        """Whether this host believes that a node has the address."""
        command = ["ip", "neighbour", "show", self.address]
        return (
            _mac(node) in subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )

    def _first_on(self) -> Node:
        return next(node for node in self.balancers if node.first_process is not None)

    def _is_well(self) -> bool:
        told = self.status()
        running = re.findall(r'<resource id="haproxy"[^>]* role="Started"[^>]*>\s*<node name', told)
        held = [node for node in self.balancers if self.has_it(node)]
        failed = re.search(r'<failure |failed="true"', told)
        return (
            self.is_a_cluster()
            and (len(running), len(held), failed) == (2, 1, None)
            and self.freshness() == ["1", "1"]
        )

    def has_it(self, node: Node) -> bool:
        """Whether a balancer has the address, be it reached or not."""
        if node.first_process is None:
            return False
        shown = node("ip", "-4", "-oneline", "address", "show", "dev", "host0", check=False)
        return f" {self.address}/" in shown.stdout

    def _has_etcd(self) -> bool:
        with contextlib.suppress(AssertionError):
            return all(told["leader"] for told in self.etcdctl.status().values())
        return False

    # Its files

    def _settle_apps(self) -> None:
        settle(self.apps, ",".join(self.urls))
        settle_apps(self.apps)
        settle_app_host(self.apps, *_PORTS)
        ip = self.apps.ip
        cluster = ",".join(f"{name}=http://{ip}:{port + 1}" for name, port in _MEMBERS.items())
        self.apps.write("/etc/systemd/system/etcd@.service", _ETCD)
        for name, port in _MEMBERS.items():
            said = _MEMBER.format(name=name, ip=ip, port=port, peer=port + 1, cluster=cluster)
            self.apps.write(f"/etc/etcd/{name}.env", said)

    def _settle_balancer(self, node: Node) -> None:
        settle(node, ",".join(self.urls))
        node.write("/etc/corosync/corosync.conf", self._shipped("corosync.conf"))
        node.write("/etc/secretary/render.toml", self._shipped("render.toml"))
        node.write("/root/cluster.crm", self._shipped("cluster.crm"))
        for unit in (SHIPPED / "units").rglob("*.*"):
            if unit.is_file():
                where = unit.relative_to(SHIPPED / "units")
                node.write(f"/etc/systemd/system/{where}", unit.read_text())
        for agent in (SHIPPED / "ocf").iterdir():
            node.write(f"{OCF}/{agent.name}", agent.read_text(), 0o755)

    def _shipped(self, name: str) -> str:
        """A file as it is shipped, with addresses of here."""
        text = Path(SHIPPED, name).read_text().replace(_APP_HOST, self.apps.ip)
        return text.replace("10.0.0.", f"{self._network}.")


def _mac(node: Node) -> str:
    return node("cat", "/sys/class/net/host0/address").stdout.strip()
