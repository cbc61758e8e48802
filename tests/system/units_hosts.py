"""Two hosts for the tests of single units, and apps on one of them.

`host` has apps, units themselves, with their secretaries; `front` has etcd, and a renderer with
its nginx. Each test has an app on a port of its own.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.etcd_bed import Etcdctl
from tests.system.etcd_watch import EtcdWatch
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.system.units_bed import (
    SAMPLE_APP,
    SERVICE,
    AppUnit,
    settle,
    settle_apps,
    settle_etcd,
    settle_proxy,
)

SHOP: Final = f"""\
[Service]
ExecStart={SAMPLE_APP} 0.0.0.0 7000 shop 0.02 /dev/null
[Install]
WantedBy=multi-user.target
"""
"""A unit of somebody's own."""

Apps = Callable[[], AppUnit]


@pytest.fixture(scope="module")
def front(nodes: NodeBed) -> Node:
    """A host with etcd, a renderer and its proxy."""
    front = nodes.make("front")
    (etcd,) = settle_etcd(front)
    settle(front, etcd)
    settle_proxy(front)
    nodes.boot(front)
    front.systemctl("start", "etcd", "proxy-plain")
    return front


@pytest.fixture(scope="module")
def urls(front: Node) -> list[str]:
    return [f"http://{front.ip}:2379"]


@pytest.fixture(scope="module")
def etcdctl(urls: list[str]) -> Etcdctl:
    return Etcdctl(urls)


@pytest.fixture(scope="module")
def host(nodes: NodeBed, urls: list[str]) -> Node:
    """A host for apps."""
    host = nodes.make("host")
    settle(host, *urls)
    settle_apps(host)
    host.write("/etc/systemd/system/shop.service", SHOP)
    nodes.boot(host)
    return host


@pytest.fixture(scope="module")
def ports() -> Iterator[int]:
    return itertools.count(8080)


@pytest.fixture
def apps(host: Node, ports: Iterator[int]) -> Iterator[Apps]:
    """Return another app at each call, with settings as they are shipped; stopped at the end."""
    made: list[AppUnit] = []

    def make() -> AppUnit:
        made.append(AppUnit(host, next(ports)))
        return made[-1]

    yield make
    for app in made:
        app.stop()


@pytest.fixture
def app(apps: Apps) -> AppUnit:
    return apps()


@pytest.fixture
def watch(urls: list[str]) -> Iterator[EtcdWatch]:
    with EtcdWatch(urls, f"/services/{SERVICE}") as watch:
        yield watch
