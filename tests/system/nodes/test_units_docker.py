"""The units of what runs in Docker, on a real systemd with a real dockerd.

One host has all of it: etcd, apps with their secretaries, the agent of all containers, a renderer
and nginx in Docker. Each test has apps on ports of its own.
"""

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from tests.etcd_bed import Etcdctl
from tests.system.etcd_watch import EtcdWatch
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.system.node_docker import (
    APP_IMAGE,
    APP_PORT,
    PROXY_IMAGE,
    containers,
    happened,
    inspect,
    settle_docker,
)
from tests.system.units_bed import SERVICE, AppUnit, rendered, settle, settle_etcd, settle_proxy
from tests.traffic import Traffic
from tests.waiting import stays, wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(900)]

ADDRESSES = ("10.255.0.1", "10.255.0.2", "10.255.0.3")
"""More of the host's."""
ALL = ("etcd", "secretary-host", "secretary-render", "proxy")

Apps = Callable[[], AppUnit]


@pytest.fixture(scope="module")
def host(nodes: NodeBed) -> Node:
    host = nodes.make("host")
    (etcd,) = settle_etcd(host)
    settle(host, etcd, DRAIN_TIMEOUT="5s")
    settle_proxy(host)
    host.write("/etc/secretary/app.env", f"APP_IMAGE={APP_IMAGE}\nAPP_PORT={APP_PORT}\n")
    host.write("/etc/secretary/proxy.env", f"PROXY_IMAGE={PROXY_IMAGE}\n")
    nodes.boot(host)
    settle_docker(host)
    host.systemctl("enable", "--now", *ALL)
    return host


@pytest.fixture(scope="module")
def etcd(host: Node) -> list[str]:
    return [f"http://{host.ip}:2379"]


@pytest.fixture(scope="module")
def etcdctl(etcd: list[str]) -> Etcdctl:
    return Etcdctl(etcd)


@pytest.fixture
def watch(etcd: list[str]) -> Iterator[EtcdWatch]:
    with EtcdWatch(etcd, "/services") as watch:
        yield watch


@pytest.fixture(scope="module")
def ports() -> Iterator[int]:
    return itertools.count(8080)


@pytest.fixture
def apps(host: Node, ports: Iterator[int]) -> Iterator[Apps]:
    """Return another app at each call; stopped at the end."""
    made: list[AppUnit] = []

    def make() -> AppUnit:
        app = AppUnit(host, next(ports))
        host.write(f"/etc/secretary/app-{app.port}.env", f"APP_OPTIONS=--env NAME={app.name}\n")
        made.append(app)
        return app

    yield make
    for app in made:
        app.stop()


def container(app: AppUnit) -> str:
    return f"app-{app.port}"


def traffic(host: Node) -> Traffic:
    """Requests that nginx may not send twice."""
    return Traffic(80, host=host.ip, method="POST", keep_alive=False)


def serves(host: Node) -> None:
    """Wait until an app answers through nginx."""
    asked = ("curl", "--silent", "--fail", "--output", "/dev/null", f"http://{host.ip}/")
    wait_for(lambda: host(*asked, check=False).returncode == 0, what="nginx served")


def test_two_apps_of_one_host_have_a_record_each_and_get_requests(
    host: Node, apps: Apps, etcdctl: Etcdctl
) -> None:
    one, two = apps(), apps()
    one.start(etcdctl)
    two.start(etcdctl)
    assert one.key != two.key
    with traffic(host) as load:
        load.reaches(one.name, two.name)


def test_a_stop_takes_the_record_first_and_the_container_second_and_leaves_nothing(
    host: Node, apps: Apps, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    remains, goes = apps(), apps()
    rendered(etcdctl, remains.start(etcdctl), goes.start(etcdctl))
    since_s = time.monotonic()
    with traffic(host) as load:
        load.reaches(remains.name, goes.name)
        host.systemctl("stop", goes.app)
        load.reaches(remains.name)
    assert not load.failures, load.told()
    told = happened(host, container(goes), since_s)
    assert [event.signal for event in told if event.action == "kill"] == ["15"]
    assert watch.gone(goes.key).at_s < min(event.at_s for event in told if event.action == "kill")
    assert host.show(goes.secretary, "Result") == host.show(goes.app, "Result") == "success"
    assert container(goes) not in containers(host)
    assert etcdctl.get(goes.key) is None


def test_a_container_that_is_killed_is_started_again_and_so_is_its_secretary(
    host: Node, apps: Apps, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    app = apps()
    app.start(etcdctl)
    before = inspect(host, container(app))["Id"]
    since_s = time.monotonic()
    host("docker", "kill", container(app))
    gone = watch.gone(app.key, after_s=since_s)
    watch.back(app.key, after_s=gone.at_s)
    assert inspect(host, container(app))["Id"] != before
    assert host.active(app.app, app.secretary)
    assert host.show(app.app, "NRestarts") == "1"


def test_what_a_power_cut_has_left_of_a_container_does_not_hold_up_the_next(
    host: Node, apps: Apps, etcdctl: Etcdctl
) -> None:
    """dockerd dies with all containers and removes none of them."""
    app = apps()
    app.start(etcdctl)
    host.kill()
    host.boot()
    wait_for(lambda: host.active(app.app, app.secretary, *ALL), timeout_s=30)
    app.registered(etcdctl)
    with traffic(host) as load:
        load.reaches(app.name)


def test_a_restart_of_docker_lets_all_leave_in_order_and_come_back(
    host: Node, apps: Apps, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    """The proxy is there until the secretaries have left, and so nobody waits for it in vain."""
    app = apps()
    rendered(etcdctl, app.start(etcdctl))
    since_s = time.monotonic()
    host.systemctl("restart", "docker")
    gone = watch.gone(app.key, after_s=since_s)
    watch.back(app.key, after_s=gone.at_s)
    assert gone.at_s < host.moment_s(app.app, "InactiveEnter")
    assert "drain timeout" not in host.journal(app.secretary)
    wait_for(lambda: host.active(app.app, app.secretary, *ALL), timeout_s=30)
    with traffic(host) as load:
        load.reaches(app.name)


def test_all_comes_back_when_docker_was_away_for_long(
    host: Node, apps: Apps, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    """Such as during an upgrade: what needs it waits, and does not count its absence as crashes."""
    app = apps()
    app.start(etcdctl)
    units = (app.app, "proxy")
    before = {unit: int(host.show(unit, "NRestarts")) for unit in units}
    since_s = time.monotonic()
    host.systemctl("stop", "docker.socket", "docker")
    watch.gone(app.key, after_s=since_s)
    stays(
        lambda: all(int(host.show(unit, "NRestarts")) <= before[unit] + 1 for unit in units),
        for_s=4,
    )
    host.systemctl("start", "docker.socket", "docker")
    app.registered(etcdctl)
    wait_for(lambda: host.active(app.app, app.secretary, *ALL), timeout_s=30)
    with traffic(host) as load:
        load.reaches(app.name)


def test_the_agent_of_a_host_may_ask_docker_and_nothing_else(
    host: Node, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    key = f"/services/web/{host.ip}:9000"
    # fmt: off
    host(
        "docker", "run", "--detach", "--name", "web", "--env", "NAME=web",
        "--label", "secretary.name=web", "--label", "secretary.probe=/",
        "--publish", f"9000:{APP_PORT}", APP_IMAGE,
    )
    # fmt: on
    back = watch.back(key)
    asked = ("curl", "--silent", "--header", "Host: web", f"http://{host.ip}/")
    wait_for(lambda: host(*asked).stdout == "web\n", what="nginx led to it")
    host("docker", "rm", "--force", "web")
    watch.gone(key, after_s=back.at_s)
    main = host.show("secretary-host", "MainPID")
    status = host("cat", f"/proc/{main}/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "Uid:\t0\t" not in status


def test_nginx_in_docker_takes_up_what_the_renderer_writes_without_losing_a_request(
    host: Node, apps: Apps, etcdctl: Etcdctl
) -> None:
    first, second = apps(), apps()
    rendered(etcdctl, first.start(etcdctl))
    with traffic(host) as load:
        load.reaches(first.name)
        before = inspect(host, "proxy")["State"]["Pid"]
        second.start(etcdctl)
        load.reaches(second.name)
        second.stop()
        host.systemctl("reload", "proxy")
        load.reaches(first.name)
    assert not load.failures, load.told()
    assert inspect(host, "proxy")["State"]["Pid"] == before


def test_the_renderer_finds_an_nginx_that_was_started_again(
    host: Node, apps: Apps, etcdctl: Etcdctl
) -> None:
    first, second = apps(), apps()
    first.start(etcdctl)
    host.systemctl("restart", "proxy")
    serves(host)
    with traffic(host) as load:
        second.start(etcdctl)
        load.reaches(first.name, second.name)
    assert not load.failures, load.told()


def test_an_nginx_that_is_killed_is_started_again(host: Node, apps: Apps, etcdctl: Etcdctl) -> None:
    first, second = apps(), apps()
    first.start(etcdctl)
    before = host.show("proxy", "NRestarts")
    host("docker", "kill", "proxy")
    wait_for(lambda: host.show("proxy", "NRestarts") != before and host.active("proxy"))
    second.start(etcdctl)
    with traffic(host) as load:
        load.reaches(first.name, second.name)


def test_the_address_is_what_is_said_else_coreoss_private_else_its_public_one(
    host: Node, apps: Apps, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    said, private, public = ADDRESSES
    for address in ADDRESSES:
        host("ip", "address", "add", f"{address}/32", "dev", "lo")
    app = apps()
    app.start(etcdctl)
    coreos = f"COREOS_PUBLIC_IPV4={public}\n"
    for more, own, expected in (
        ("", "", public),
        (f"COREOS_PRIVATE_IPV4={private}\n", "", private),
        (f"COREOS_PRIVATE_IPV4={private}\n", f"SECRETARY_IP={said}\n", said),
    ):
        host.write("/etc/environment", coreos + more)
        host.write(f"/etc/secretary/app-{app.port}.env", f"{own}APP_OPTIONS=--env NAME=x\n")
        since_s = time.monotonic()
        host.systemctl("restart", app.secretary)
        watch.back(f"/services/{SERVICE}/{expected}:{app.port}", after_s=since_s)
    host.write("/etc/environment", "")
