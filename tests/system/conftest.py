"""Real servers for the tests of whole programs."""

import uuid
from collections.abc import Generator, Iterator

import pytest

from secretary.devetcd import DevEtcd
from tests import etcd_bed
from tests.etcd_bed import Certificates, Etcdctl
from tests.system.echo_app import EchoApp
from tests.system.node_bed import NodeBed, node_disk, nodes

__all__ = ["node_disk", "nodes"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure comes what the nodes have said since the test began."""
    report = yield
    nodes = item.funcargs.get("nodes")
    if report.failed and report.when != "teardown" and isinstance(nodes, NodeBed):
        for node in nodes.all:
            report.sections.append((f"journal of {node.name}", node.said(call.start)))
    return report


@pytest.fixture(scope="session")
def etcd() -> Iterator[DevEtcd]:
    """One member for all; each test keeps to its own `prefix`."""
    with DevEtcd() as etcd:
        yield etcd


@pytest.fixture
def etcdctl(etcd: DevEtcd) -> Etcdctl:
    return Etcdctl(etcd.urls)


@pytest.fixture
def prefix() -> str:
    return f"/t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def own_etcd() -> Iterator[DevEtcd]:
    """One member that the test may kill."""
    with DevEtcd() as etcd:
        yield etcd


@pytest.fixture
def own_etcdctl(own_etcd: DevEtcd) -> Etcdctl:
    return Etcdctl(own_etcd.urls)


@pytest.fixture
def cluster() -> Iterator[DevEtcd]:
    """Three members."""
    with DevEtcd(members=3) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_etcd(certificates: Certificates) -> Iterator[DevEtcd]:
    with etcd_bed.tls_etcd(certificates, mutual=False) as etcd:
        yield etcd


@pytest.fixture
def mtls_etcd(certificates: Certificates) -> Iterator[DevEtcd]:
    with etcd_bed.tls_etcd(certificates, mutual=True) as etcd:
        yield etcd


@pytest.fixture
def auth_etcd(prefix: str) -> Iterator[DevEtcd]:
    with etcd_bed.auth_etcd(prefix) as etcd:
        yield etcd


@pytest.fixture
def one() -> Iterator[EchoApp]:
    """An app behind a proxy, which says what it was asked."""
    with EchoApp("one") as app:
        yield app


@pytest.fixture
def two() -> Iterator[EchoApp]:
    with EchoApp("two") as app:
        yield app
