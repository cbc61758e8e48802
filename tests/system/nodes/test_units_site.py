"""Three hosts with a member of etcd and an app each, and on the first a renderer with its nginx.

One of them loses its power, comes back, and is drained, while clients go on asking.
"""

import time
from dataclasses import dataclass

import pytest

from tests.etcd_bed import Etcdctl
from tests.system.etcd_watch import EtcdWatch
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.system.units_bed import (
    SERVICE,
    AppUnit,
    rendered,
    settle,
    settle_apps,
    settle_etcd,
    settle_proxy,
)
from tests.traffic import Traffic
from tests.waiting import wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

PORT = 8080
TTL_S = 6
LATE_S = 4.0
"""An election may come in between, and gives every lease its whole time again."""
PATIENCE_S = 5.0
FEW = 10
"""Of some 200 requests a second."""


@dataclass(frozen=True, slots=True)
class Site:
    hosts: list[Node]
    apps: list[AppUnit]
    urls: list[str]

    @property
    def front(self) -> str:
        """Where clients ask."""
        return self.hosts[0].ip


@pytest.fixture(scope="module")
def site(nodes: NodeBed) -> Site:
    hosts = [nodes.make(f"node-{number}") for number in (1, 2, 3)]
    urls = settle_etcd(*hosts)
    for host in hosts:
        settle(host, ",".join(urls), TTL=f"{TTL_S}s")
        settle_apps(host)
    settle_proxy(hosts[0])
    nodes.boot(*hosts)
    for host in hosts:
        host.systemctl("enable", "etcd")
        host.systemctl("start", "--no-block", "etcd")  # each is ready when two are
    hosts[0].systemctl("enable", "--now", "secretary-render", "proxy-plain")
    apps = [AppUnit(host, PORT) for host in hosts]
    etcdctl = Etcdctl(urls)
    rendered(etcdctl, *[app.start(etcdctl) for app in apps])
    return Site(hosts, apps, urls)


def test_a_host_dies_and_comes_back_and_the_site_stays_up(site: Site) -> None:
    """What fails, if anything, was sent to it on a connection that was open when it died.

    A host without power does not even say that it is gone. So these few hang, and since the proxy
    prefers those of its servers with the fewest requests, they keep more from going there.
    """
    *_, host = site.hosts
    *others, app = site.apps
    lead(site.urls, site.urls[-1])
    with (
        EtcdWatch(site.urls[:1], f"/services/{SERVICE}") as watch,
        Traffic(80, host=site.front, timeout_s=PATIENCE_S) as traffic,
    ):
        traffic.reaches(*(each.name for each in site.apps))
        died_s = time.monotonic()
        host.kill()
        gone_s = watch.gone(app.key, after_s=died_s).at_s
        rest_s = time.monotonic()
        wait_for(lambda: sum(traffic.answers(rest_s).values()) > 100)
        assert traffic.answers(rest_s).keys() == {each.name for each in others}
        assert TTL_S * 2 / 3 - 0.5 < gone_s - died_s < TTL_S + LATE_S

        host.boot()
        watch.back(app.key, after_s=gone_s)
        traffic.reaches(app.name, timeout_s=30)
    print(traffic.told())  # noqa: T201 - the measured values
    assert all(failure.began_s < gone_s for failure in traffic.failures), traffic.told()
    assert len(traffic.failures) < FEW, traffic.told()
    wait_for(lambda: host.active("etcd", app.app, app.secretary))
    assert len(Etcdctl(site.urls).status()) == 3
    for each in others:  # etcd without one of its members is no reason to go
        assert all(change.is_up for change in watch.of(each.key))


def lead(urls: list[str], url: str) -> None:
    """Let this member lead the cluster: the loss of no other is worse."""
    status = Etcdctl(urls).status()
    ids = {url: told["header"]["member_id"] for url, told in status.items()}
    (leader,) = (each for each, told in status.items() if told["leader"] == ids[each])
    if leader != url:
        Etcdctl([leader])("move-leader", f"{ids[url]:x}")


def test_an_app_is_drained_by_systemctl_and_no_request_fails(site: Site) -> None:
    first, app, last = site.apps
    etcdctl = Etcdctl(site.urls)
    with Traffic(80, host=site.front) as traffic:
        traffic.reaches(first.name, app.name, last.name)
        app.node.systemctl("stop", app.app)
        rest_s = time.monotonic()
        wait_for(lambda: sum(traffic.answers(rest_s).values()) > 100)
        assert traffic.answers(rest_s).keys() == {first.name, last.name}
        app.node.systemctl("start", app.app)
        app.registered(etcdctl)
        traffic.reaches(app.name)
    assert not traffic.failures, traffic.told()


def test_a_host_that_is_shut_down_costs_no_request(site: Site) -> None:
    """Its member of etcd ends after its secretary has left."""
    first, app, last = site.apps
    with Traffic(80, host=site.front) as traffic:
        traffic.reaches(first.name, app.name, last.name)
        app.node.power_off()
        try:
            rest_s = time.monotonic()
            wait_for(lambda: sum(traffic.answers(rest_s).values()) > 100)
            assert traffic.answers(rest_s).keys() == {first.name, last.name}
        finally:
            app.node.boot()
        traffic.reaches(app.name, timeout_s=30)
    assert not traffic.failures, traffic.told()
