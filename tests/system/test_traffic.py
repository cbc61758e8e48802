"""Three apps with their secretaries behind a real proxy, under 200 requests a second.

What a proxy promises its clients is counted by them: see `tests/traffic.py`. A request that the
proxy loses is a failure here, for the client does not send it twice.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd
from tests.backends import Backend, three
from tests.renderers import Renderer
from tests.system.fronts import Front, Kind, front
from tests.traffic import RATE, Traffic
from tests.waiting import wait_for

SLACK_S = 5.0
"""For machines that do other work."""
TAKEN_UP_S = 2.0
"""From the file to the proxy's working by it, at most."""


@pytest.fixture(params=list(Kind), ids=lambda kind: kind.value)
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    with front(request.param, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def backends(etcd: DevEtcd, prefix: str, tmp_path: Path) -> Iterator[list[Backend]]:
    with three(etcd.urls, prefix, tmp_path) as backends:
        yield backends


@contextmanager
def rendering(
    etcd: DevEtcd, prefix: str, proxy: Front, backends: Sequence[Backend], *more: str
) -> Iterator[Renderer]:
    """A renderer, with all three apps in rotation."""
    with Renderer.of(etcd.urls, prefix, *proxy.arguments, *more) as renderer:
        wait_for(
            lambda: proxy.servers.keys() == {backend.addr for backend in backends},
            what="the configuration held all three",
        )
        renderer.settles()
        yield renderer


@pytest.fixture
def renderer(
    etcd: DevEtcd, prefix: str, proxy: Front, backends: Sequence[Backend]
) -> Iterator[Renderer]:
    with rendering(etcd, prefix, proxy, backends) as renderer:
        yield renderer


def names(backends: Sequence[Backend]) -> list[str]:
    return [backend.name for backend in backends]


def test_a_graceful_restart_of_all_fails_no_request(
    proxy: Front, backends: Sequence[Backend], renderer: Renderer
) -> None:
    """Half of the load are GETs on lasting connections, half POSTs, which are never sent twice."""
    with (
        Traffic(proxy.port, rate=RATE / 2) as visits,
        Traffic(proxy.port, rate=RATE / 2, method="POST", keep_alive=False) as orders,
    ):
        visits.reaches(*names(backends))
        for backend in backends:
            backend.leave()
            assert "drain timeout" not in backend.secretary.log
            backend.start()
            visits.reaches(backend.name)
            orders.reaches(backend.name)
    print(visits.told(), orders.told(), sep="\n")  # noqa: T201 - the measured values
    assert not orders.failures, orders.told()
    assert not visits.failures, visits.told()
    # An idle connection that is closed at a reload is no loss to its client; seldom it is.
    assert visits.resent <= renderer.reloads
    assert renderer.complaints == []


def test_a_killed_app_fails_no_more_than_it_had_in_flight(
    proxy: Front, backends: Sequence[Backend], renderer: Renderer
) -> None:
    victim = backends[1]
    with Traffic(proxy.port) as traffic:
        traffic.reaches(*names(backends))
        victim.kill()
        in_flight = victim.in_flight
        wait_for(lambda: victim.addr not in proxy.servers, timeout_s=SLACK_S)
        gone_s = time.monotonic() + TAKEN_UP_S
        wait_for(lambda: traffic.answers(gone_s).total() > RATE)
    print(f"{in_flight} in flight; {traffic.told()}")  # noqa: T201 - the measured values
    assert len(traffic.failures) <= in_flight, traffic.told()
    assert traffic.resent <= renderer.reloads
    assert not traffic.answers(gone_s)[victim.name]


def test_a_hung_app_fails_no_more_than_was_sent_to_it(
    proxy: Front, backends: Sequence[Backend], renderer: Renderer
) -> None:
    victim = backends[1]
    with Traffic(proxy.port, timeout_s=5) as traffic:
        traffic.reaches(*names(backends))
        victim.freeze()
        in_flight, received = victim.in_flight, victim.received
        wait_for(lambda: victim.addr not in proxy.servers, timeout_s=SLACK_S)
        gone_s = time.monotonic() + TAKEN_UP_S
        wait_for(lambda: traffic.answers(gone_s).total() > 5 * RATE, timeout_s=20)
    victim.thaw()
    # Now it reads what was sent to it then.
    wait_for(
        lambda: in_flight + victim.received - received >= len(traffic.failures),
        what=f"the app had been sent as many as failed: {traffic.told()}",
    )
    print(traffic.told())  # noqa: T201 - the measured values
    assert all(failure.began_s < gone_s for failure in traffic.failures), traffic.told()


def test_who_does_not_wait_long_for_a_hung_app_fails_no_request(
    etcd: DevEtcd, prefix: str, proxy: Front, backends: Sequence[Backend]
) -> None:
    """What may be done twice is sent to another server once the patience with the first is over."""
    victim = backends[1]
    with (
        rendering(etcd, prefix, proxy, backends, "--var", "read-timeout=1s"),
        Traffic(proxy.port) as traffic,
    ):
        traffic.reaches(*names(backends))
        victim.freeze()
        wait_for(lambda: victim.addr not in proxy.servers, timeout_s=SLACK_S)
        gone_s = time.monotonic() + TAKEN_UP_S
        wait_for(lambda: traffic.answers(gone_s).total() > RATE)
    victim.thaw()
    print(traffic.told())  # noqa: T201 - the measured values
    assert not traffic.failures, traffic.told()
