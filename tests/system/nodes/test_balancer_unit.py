"""The unit that says to the app hosts that this host is one of the pair, whatever HAProxy does."""

import json
import time
from typing import Final

import pytest

from tests.etcd_bed import Etcdctl
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.system.node_root import CHECKOUT
from tests.system.units_bed import settle, settle_etcd
from tests.waiting import wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

UNITS: Final = CHECKOUT / "deploy/pacemaker/units"
UNIT: Final = "secretary-balancer.service"
COROSYNC: Final = """\
totem {{
    version: 2
    transport: knet
}}
nodelist {{
    node {{
        nodeid: 1
        name: {name}
        ring0_addr: {ip}
    }}
}}
quorum {{
    provider: corosync_votequorum
}}
"""
"""A cluster of one."""
PATIENCE_S: Final = 5.0
"""How long the unit waits for etcd, as it says itself."""
MARGIN_S: Final = 15.0


@pytest.fixture(scope="module")
def host(nodes: NodeBed) -> Node:
    """A balancer with etcd."""
    host = nodes.make("lb1")
    (etcd,) = settle_etcd(host)
    settle(host, etcd)
    host.write("/etc/corosync/corosync.conf", COROSYNC.format(name=host.name, ip=host.ip))
    for unit in UNITS.glob("*.service"):
        host.write(f"/etc/systemd/system/{unit.name}", unit.read_text())
    nodes.boot(host)
    host.systemctl("enable", "--now", "etcd")
    return host


@pytest.fixture(scope="module")
def etcdctl(host: Node) -> Etcdctl:
    return Etcdctl([f"http://{host.ip}:2379"])


@pytest.fixture(scope="module")
def key(host: Node) -> str:
    return f"/services/balancers/{host.ip}"


def test_systemd_finds_no_fault_with_it_and_it_may_do_little(host: Node) -> None:
    units = sorted(unit.name for unit in UNITS.glob("*.service"))
    assert UNIT in units
    for unit in units:
        path = f"/etc/systemd/system/{unit}"
        said = host("systemd-analyze", "verify", path, check=False)
        assert (said.returncode, said.stdout + said.stderr) == (0, ""), unit
        host("systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=30", path)


def test_the_record_is_there_when_the_unit_has_started(
    host: Node, etcdctl: Etcdctl, key: str
) -> None:
    host.systemctl("start", UNIT)
    seen = etcdctl.get(key)
    assert seen is not None
    record = json.loads(seen.value)
    assert (record["name"], record["addr"]) == ("balancers", f"{host.ip}:80")


def test_a_stop_is_no_leaving_of_the_pair(host: Node, etcdctl: Etcdctl, key: str) -> None:
    """The record stays, and is taken over by the next start."""
    before = etcdctl.get(key)
    assert before is not None
    host.systemctl("stop", UNIT)
    assert host.show(UNIT, "ActiveState") == "inactive"
    assert etcdctl.get(key) == before
    assert etcdctl.left_s(before.lease) > 300
    host.systemctl("start", UNIT)
    wait_for(lambda: etcdctl.get(key) != before, what="it was taken over")
    after = etcdctl.get(key)
    assert after is not None
    assert after.create_revision == before.create_revision


def test_one_that_crashes_is_started_again(host: Node, etcdctl: Etcdctl, key: str) -> None:
    before = host.show(UNIT, "MainPID")
    host.systemctl("kill", "--kill-whom=main", "--signal=KILL", UNIT)
    wait_for(lambda: host.active(UNIT) and host.show(UNIT, "MainPID") != before)
    assert etcdctl.get(key) is not None


def test_who_leaves_for_good_is_gone_at_once(host: Node, etcdctl: Etcdctl, key: str) -> None:
    host.systemctl("kill", "--kill-whom=main", "--signal=TERM", UNIT)
    wait_for(lambda: host.show(UNIT, "ActiveState") == "inactive", timeout_s=20)
    assert etcdctl.get(key) is None


def test_a_host_without_the_clusters_configuration_is_none_of_the_pair(
    host: Node, etcdctl: Etcdctl, key: str
) -> None:
    configuration = host.disk / "etc/corosync/corosync.conf"
    text = configuration.read_text()
    configuration.unlink()
    host.systemctl("start", UNIT)
    assert host.active(UNIT)
    assert etcdctl.get(key) is None
    configuration.write_text(text)
    wait_for(lambda: etcdctl.get(key), timeout_s=20)


def test_it_holds_up_nothing_while_etcd_is_away(host: Node, etcdctl: Etcdctl, key: str) -> None:
    host.systemctl("kill", "--kill-whom=main", "--signal=TERM", UNIT)
    wait_for(lambda: host.show(UNIT, "ActiveState") == "inactive", timeout_s=20)
    host.systemctl("stop", "etcd")
    began_s = time.monotonic()
    host.systemctl("start", UNIT)
    assert PATIENCE_S <= time.monotonic() - began_s < PATIENCE_S + MARGIN_S
    assert host.active(UNIT)
    assert "not registered yet; this host goes on" in host.journal(UNIT)
    host.systemctl("start", "etcd")
    wait_for(lambda: etcdctl.get(key), timeout_s=30)


def test_at_a_boot_the_cluster_begins_after_it(host: Node, etcdctl: Etcdctl, key: str) -> None:
    host.systemctl("enable", "corosync", "pacemaker", UNIT)
    host.reboot()
    wait_for(lambda: host.active("pacemaker"), timeout_s=60)
    assert host.active(UNIT)
    assert host.moment_s(UNIT, "ActiveEnter") <= host.moment_s("pacemaker", "InactiveExit")
    assert etcdctl.get(key) is not None
