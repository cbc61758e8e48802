"""The units of deploy/units on nodes: apps without Docker, etcd, and a renderer with its nginx.

The settings are the samples of deploy/units/etc, with addresses of the nodes.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from tests.etcd_bed import Etcdctl, Seen
from tests.system.node import Node
from tests.system.node_root import CHECKOUT, UNITS
from tests.waiting import wait_for

SERVICE: Final = "app"
_SAMPLES: Final = UNITS / "etc"
_SHARED: Final = """\
SECRETARY_ETCD={etcd}
SECRETARY_INTERVAL=500ms
SECRETARY_FAST_INTERVAL=100ms
SECRETARY_TIMEOUT=500ms
"""
_ETCD: Final = """\
ETCD_NAME={name}
ETCD_LISTEN_CLIENT_URLS=http://{ip}:2379,http://127.0.0.1:2379
ETCD_ADVERTISE_CLIENT_URLS=http://{ip}:2379
ETCD_LISTEN_PEER_URLS=http://{ip}:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://{ip}:2380
ETCD_INITIAL_CLUSTER={cluster}
ETCD_INITIAL_CLUSTER_TOKEN=secretary
"""
SAMPLE_APP: Final = "/usr/bin/python3 /opt/sample_app.py"
_WITHOUT_DOCKER: Final = f"""\
[Service]
ExecStartPre=
ExecStart=
ExecStart={SAMPLE_APP} 0.0.0.0 %i %H:%i 0.02 /dev/null
ExecStop=
ExecStopPost=
ExecStopPost=/usr/bin/touch /var/lib/%p-%i.ended
"""
"""The app tells its host and port, and takes 20 ms for a request to /load. When it has ended, it
leaves a file."""


@dataclass(frozen=True, slots=True)
class AppUnit:
    """A pair of app@ and app-secretary@ on a node; `name` is how the app calls itself."""

    node: Node
    port: int

    @property
    def name(self) -> str:
        return f"{self.node.name}:{self.port}"

    @property
    def app(self) -> str:
        return f"app@{self.port}.service"

    @property
    def secretary(self) -> str:
        return f"app-secretary@{self.port}.service"

    @property
    def key(self) -> str:
        return f"/services/{SERVICE}/{self.node.ip}:{self.port}"

    def configure(self, **settings: str) -> None:
        """Write the instance's own settings, of names without SECRETARY_."""
        lines = (f"SECRETARY_{name}={value}\n" for name, value in settings.items())
        self.node.write(f"/etc/secretary/app-{self.port}.env", "".join(lines))

    def ended_at(self) -> float:
        """Return when the app ended last, by time.time(); also while its host is off."""
        return (self.node.disk / f"var/lib/app-{self.port}.ended").stat().st_mtime

    def registered(self, etcdctl: Etcdctl) -> Seen:
        """Wait until its record is there, and return that."""
        seen = wait_for(lambda: etcdctl.get(self.key), what=f"{self.key} was there")
        assert json.loads(seen.value)["addr"] == f"{self.node.ip}:{self.port}"
        return seen

    def start(self, etcdctl: Etcdctl) -> Seen:
        """Start both as README says, and return the record."""
        self.node.systemctl("enable", "--now", self.app)
        return self.registered(etcdctl)

    def drop_in(self, unit: str, text: str) -> None:
        """Change one of its units, which are this instance's alone."""
        self.node.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.node.systemctl("daemon-reload")

    def stop(self) -> None:
        """Stop both, whatever became of them, and forget it."""
        self.node.systemctl("disable", "--now", self.app)
        self.node.systemctl("reset-failed", self.app, self.secretary, check=False)


def settle(node: Node, etcd: str, **more: str) -> None:
    """Tell all secretaries and renderers of a node of `etcd`, and of settings of theirs."""
    lines = (f"SECRETARY_{name}={value}\n" for name, value in more.items())
    node.write("/etc/secretary/secretary.env", _SHARED.format(etcd=etcd) + "".join(lines))


def settle_apps(node: Node) -> None:
    """Make a node ready for apps without Docker."""
    node.write("/opt/sample_app.py", (CHECKOUT / "tests/sample_app.py").read_text())
    node.write("/etc/systemd/system/app@.service.d/without-docker.conf", _WITHOUT_DOCKER)


def settle_etcd(*nodes: Node) -> list[str]:
    """Make nodes, which are not booted yet, the members of a cluster; return its URLs."""
    cluster = ",".join(f"{node.name}=http://{node.ip}:2380" for node in nodes)
    for node in nodes:
        settings = _ETCD.format(name=node.name, ip=node.ip, cluster=cluster)
        node.write("/etc/secretary/etcd.env", settings)
    return [f"http://{node.ip}:2379" for node in nodes]


def settle_proxy(node: Node) -> None:
    """Make a node ready for secretary-render and proxy-plain, with the samples as they are."""
    for name in ("render.toml", "nginx.conf"):
        node.write(f"/etc/secretary/{name}", (_SAMPLES / name).read_text())


def rendered(etcdctl: Etcdctl, *records: Seen) -> None:
    """Wait until every renderer has these records applied."""
    revision = max(record.mod_revision for record in records)

    def all_have_applied_it() -> bool:
        entries = etcdctl("get", "--prefix", "/secretary/renderers/").get("kvs", ())
        values = [json.loads(base64.b64decode(entry["value"])) for entry in entries]
        return bool(values) and all(value["applied"] >= revision for value in values)

    wait_for(all_have_applied_it, timeout_s=20)


def told(seen: Seen) -> dict[str, Any]:
    """Return a record as JSON."""
    record: dict[str, Any] = json.loads(seen.value)
    return record
