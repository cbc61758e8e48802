"""The units on a real systemd, when all goes well: they start, stop, restart and reload."""

import time

import pytest

from tests.etcd_bed import Etcdctl
from tests.system.etcd_watch import EtcdWatch
from tests.system.node import Node
from tests.system.node_root import UNITS
from tests.system.units_bed import rendered, told
from tests.system.units_hosts import SHOP, Apps
from tests.traffic import Traffic
from tests.waiting import wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


# Files


def test_systemd_finds_no_fault_with_any_unit(host: Node) -> None:
    host.write("/etc/systemd/system/i.service", SHOP)  # it calls every instance i
    units = sorted(unit.name for unit in UNITS.glob("*.service"))
    assert len(units) >= 8
    for unit in units:
        said = host("systemd-analyze", "verify", f"/etc/systemd/system/{unit}", check=False)
        assert (said.returncode, said.stdout + said.stderr) == (0, ""), unit


def test_every_secretary_may_do_little(host: Node) -> None:
    for unit in sorted(UNITS.glob("*secretary*.service")):
        host(
            *("systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=30"),
            f"/etc/systemd/system/{unit.name}",
        )


# An app that is a unit of its own


def test_a_unit_of_ones_own_gets_a_secretary_by_its_name(host: Node, etcdctl: Etcdctl) -> None:
    key = f"/services/shop/{host.ip}:7000"
    host.write("/etc/secretary/shop.env", "SECRETARY_PORT=7000\nSECRETARY_PROBE=/\n")
    host.systemctl("enable", "shop", "secretary@shop")
    host.systemctl("start", "shop")
    wait_for(lambda: etcdctl.get(key))
    secretary = "secretary@shop.service"
    wait_for(lambda: host.active(secretary))
    wait_for(lambda: 'Status: "up, registered"' in host.systemctl("status", secretary))
    host.systemctl("stop", "shop")
    assert etcdctl.get(key) is None
    assert host.moment_s(secretary, "InactiveEnter") <= host.moment_s("shop", "ExecMainExit")
    host.systemctl("disable", "shop", "secretary@shop")


def test_a_reload_reads_the_settings_again(host: Node, etcdctl: Etcdctl) -> None:
    key = f"/services/shop/{host.ip}:7000"
    host.write("/etc/secretary/shop.env", "SECRETARY_CONFIG=/etc/secretary/shop.toml\n")
    host.write("/etc/secretary/shop.toml", "port = 7000\n")
    host.systemctl("start", "secretary@shop", "shop")
    before = wait_for(lambda: etcdctl.get(key))
    host.write("/etc/secretary/shop.toml", "port = 7000\nweight = 7\n")
    host.systemctl("reload", "secretary@shop")
    after = wait_for(lambda: (seen := etcdctl.get(key)) and told(seen)["weight"] == 7 and seen)
    assert (after.lease, after.create_revision) == (before.lease, before.create_revision)
    host.systemctl("stop", "shop")


# The pair


def test_a_stop_takes_the_record_first_and_the_app_second(
    front: Node, host: Node, apps: Apps, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    """So no request of those that the proxy takes meanwhile fails."""
    one, two = apps(), apps()
    rendered(etcdctl, one.start(etcdctl), two.start(etcdctl))
    with Traffic(80, host=front.ip) as traffic:
        traffic.reaches(one.name, two.name)
        host.systemctl("stop", one.app)
        gone_s = watch.gone(one.key).at_s
        began_s = time.monotonic()
        wait_for(lambda: traffic.answers(began_s)[two.name] > 20)
        assert traffic.answers(began_s).keys() == {two.name}
    assert not traffic.failures, traffic.told()
    secretary_ended_s = host.moment_s(one.secretary, "ExecMainExit")
    assert gone_s < secretary_ended_s <= host.moment_s(one.app, "ActiveExit")
    assert secretary_ended_s < host.moment_s(one.app, "ExecMainExit")
    assert host.show(one.secretary, "Result") == "success"


def test_a_restart_of_the_app_takes_the_record_first_and_brings_it_back(
    front: Node, host: Node, apps: Apps, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    one, two = apps(), apps()
    rendered(etcdctl, one.start(etcdctl), two.start(etcdctl))
    first = host.show(one.app, "MainPID")
    with Traffic(80, host=front.ip) as traffic:
        traffic.reaches(one.name, two.name)
        host.systemctl("restart", one.app)
        gone_s = watch.gone(one.key).at_s
        back_s = watch.back(one.key, after_s=gone_s).at_s
        traffic.reaches(one.name)
    assert not traffic.failures, traffic.told()
    assert host.show(one.app, "MainPID") != first
    assert gone_s < host.moment_s(one.app, "ActiveExit")
    assert back_s > host.moment_s(one.app, "ExecMainStart") > gone_s
