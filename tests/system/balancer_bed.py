"""The resource agent of a balancer on a node without a cluster: haproxy, a renderer and etcd."""

import re
import subprocess
from datetime import UTC, datetime
from typing import Final

from secretary.core import record
from secretary.core.instance import Instance, State
from tests.etcd_bed import Etcdctl
from tests.system.node import Node
from tests.system.node_root import CHECKOUT
from tests.system.units_bed import settle, settle_etcd
from tests.waiting import wait_for

SHIPPED: Final = CHECKOUT / "deploy/pacemaker"
AGENT: Final = "/usr/lib/ocf/resource.d/secretary/balancer"
UNIT: Final = "haproxy.service"
CONFIG: Final = "/etc/haproxy/haproxy.cfg"
PIDFILE: Final = "/run/secretary-haproxy.pid"
RENDERER: Final = "secretary-render.service"
STATE: Final = "/run/resource-agents/secretary-balancer"
URL: Final = "http://127.0.0.1:80/haproxy-lives"
"""What haproxy answers by itself."""
THROUGH: Final = "http://127.0.0.1:80/"
"""What it asks an app for."""
PORT: Final = 9000
"""Of an app that takes connections and never answers."""

SUCCESS, GENERIC, INSTALLED, CONFIGURED, NOT_RUNNING = 0, 1, 5, 6, 7
"""OCF's exit codes."""

_MUTE: Final = """\
import signal, socket, sys
server = socket.create_server(("", int(sys.argv[1])))
signal.pause()
"""
_MUTE_UNIT: Final = """\
[Service]
ExecStart=/usr/bin/python3 /opt/mute.py %i
"""
_ATTRIBUTES: Final = "/var/lib/attributes"
_NO_CLUSTER: Final = f"""\
#!/bin/sh
# In place of Pacemaker's: notes what it is told.
echo "$2 ${{4:-unset}}" >>{_ATTRIBUTES}
"""
_SUBSTITUTE: Final = "/usr/local/sbin/attrd_updater"
_XMLLINT: Final = """\
#!/usr/bin/python3
# What ocf-tester asks of xmllint, by the same library: is what stands on stdin valid by its DTD?
import sys
from lxml import etree
etree.fromstring(sys.stdin.buffer.read(), etree.XMLParser(dtd_validation=True, load_dtd=True))
"""


class BalancerBed:
    """One node. `params` are what the agent is given at each action."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.params: dict[str, str] = {}
        (self._etcd,) = settle_etcd(node)
        settle(node, self._etcd)
        self._agent = (SHIPPED / "ocf/balancer").read_text()
        node.write(AGENT, self._agent, 0o755)
        node.write("/etc/secretary/render.toml", (SHIPPED / "render.toml").read_text())
        for drop_in in (SHIPPED / "units").glob("*.d/*"):
            path = f"/etc/systemd/system/{drop_in.parent.name}/{drop_in.name}"
            node.write(path, drop_in.read_text())
        node.write("/opt/mute.py", _MUTE)
        node.write("/etc/systemd/system/mute@.service", _MUTE_UNIT)
        node.write(_SUBSTITUTE, _NO_CLUSTER, 0o755)
        node.write("/usr/local/bin/xmllint", _XMLLINT, 0o755)
        self.etcdctl = Etcdctl([self._etcd])

    def start(self) -> None:
        """Start all but haproxy, with an app that does not answer in the directory."""
        self.node.systemctl("start", "etcd")
        self.hold(PORT)
        self.node.systemctl("start", RENDERER)
        self.put(PORT)
        wait_for(lambda: f":{PORT} " in self.config, what="the renderer had written it")

    # What it is like

    @property
    def config(self) -> str:
        return (self.node.disk / CONFIG.removeprefix("/")).read_text()

    @config.setter
    def config(self, text: str) -> None:
        self.node.write(CONFIG, text)

    @property
    def attribute(self) -> str | None:
        """What the cluster was told last: 0, 1, unset; None if nothing."""
        told = self.told()
        return told[-1] if told else None

    def told(self) -> list[str]:
        """Return all that the cluster was told of the attribute."""
        path = self.node.disk / _ATTRIBUTES.removeprefix("/")
        lines = path.read_text().splitlines() if path.exists() else []
        assert all(line.startswith("secretary-fresh ") for line in lines)
        return [line.split()[1] for line in lines]

    @property
    def audited(self) -> str:
        """What the last independent look has found; empty before the first."""
        return self.node("cat", f"{STATE}/audit", check=False).stdout

    def haproxies(self) -> list[int]:
        """The ids of its processes, in the node."""
        return [int(pid) for pid in self.node("pgrep", "-x", "haproxy", check=False).stdout.split()]

    def answers(self, url: str) -> bool:
        """Whether there is an answer within a second."""
        asked = ("curl", "--silent", "--output", "/dev/null", "--max-time", "1", url)
        return self.node(*asked, check=False).returncode == 0

    # What is done

    def __call__(self, action: str, **more: str) -> tuple[int, str]:
        """Do an action; return its exit code and the reason that it gives, or all that it says."""
        done = self.run(action, **more)
        reason = re.findall(r"^ocf-exit-reason:(.*)$", done.stderr, re.MULTILINE)
        assert len(reason) <= 1, done.stderr
        return done.returncode, reason[0] if reason else ""

    def run(self, action: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Do an action as Pacemaker does; `more` are parameters, `timeout` and `interval` in ms."""
        meta = {"timeout": "30000", "interval": "2000"}
        given = {"url": URL} | self.params | more
        environ = [f"OCF_RESKEY_CRM_meta_{key}={given.pop(key, meta[key])}" for key in meta]
        environ += [f"OCF_RESKEY_{name}={value}" for name, value in given.items()]
        return self.node(
            *("env", "OCF_ROOT=/usr/lib/ocf", "OCF_RESOURCE_INSTANCE=balancer:0"),
            *("OCF_RESOURCE_PROVIDER=secretary", "OCF_RESOURCE_TYPE=balancer", *environ),
            *("timeout", "60", AGENT, action),
            check=False,
        )

    def at_most(self, connections: int) -> None:
        """Let haproxy have so many connections at once and no more."""
        ask = "curl --silent --unix-socket /run/haproxy/admin.sock telnet://localhost"
        self.node("sh", "-c", f"echo 'set maxconn global {connections}' | {ask}")

    def monitored(self, attribute: str, timeout_s: float = 30.0, **more: str) -> None:
        """Monitor as a cluster does, until this has been told; each time it must be well."""

        def told() -> bool:
            assert self("monitor", **more) == (SUCCESS, "")
            return self.attribute == attribute

        wait_for(told, timeout_s=timeout_s, what=f"{attribute} was told")

    def put(self, port: int) -> None:
        """Let an instance of the app stand in the directory."""
        instance = Instance(
            host="node", ipv4_addr="127.0.0.1", port=port, addr=f"127.0.0.1:{port}", name="app",
            id=f"app-{port}", state=State.UP, since=datetime(2026, 11, 21, tzinfo=UTC), schema=1,
        )  # fmt: skip
        self.etcdctl.put(f"/services/app/127.0.0.1:{port}", record.encode(instance))

    def delete(self, port: int) -> None:
        self.etcdctl.delete(f"/services/app/127.0.0.1:{port}")

    def hold(self, port: int) -> None:
        """Start an app that takes connections at the port and never answers."""
        self.node.systemctl("start", f"mute@{port}")
        taken = f"sport = :{port}"
        wait_for(lambda: self.node("ss", "-Hltn", taken).stdout, what=f"{port} was taken")

    def signal(self, name: str, unit: str = UNIT) -> None:
        """Send a signal to all processes of a unit."""
        self.node.systemctl("kill", f"--signal={name}", unit)

    def without_substitute(self) -> None:
        """Let the agent meet Pacemaker's own tool, which finds no cluster."""
        (self.node.disk / _SUBSTITUTE.removeprefix("/")).unlink()

    def with_substitute(self) -> None:
        self.node.write(_SUBSTITUTE, _NO_CLUSTER, 0o755)
