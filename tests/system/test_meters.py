"""What the scaler measures of a real haproxy that works by the built-in template."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.core.machine import Machine
from secretary.core.scaling import Metric
from secretary.core.settings import Builtin
from secretary.scaler.meters import open_meter
from secretary.scaler.ports import Meter
from secretary.scaler.samples import Sample
from tests.apps import App, free_port
from tests.fakes.cloud import FakeCloud
from tests.system.builtin_bed import BuiltinBed, record
from tests.system.echo_app import IP, EchoApp
from tests.system.haproxy_bed import HaproxyBed
from tests.unit.scaler.machines import machine, measured
from tests.waiting import wait_for


class Clock:
    """Shows what a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Front:
    """haproxy before some apps. `sources` are all the ways in which its statistics are read."""

    def __init__(self, proxy: BuiltinBed, *apps: EchoApp) -> None:
        self.proxy = proxy
        self.apps = apps
        self._stats = free_port()
        self.serve()

    def serve(self) -> None:
        records = [record(app) for app in self.apps]
        self.proxy.serve(*records, vars={"stats": f"{IP}:{self._stats}"})

    @property
    def bed(self) -> HaproxyBed:
        assert isinstance(self.proxy.bed, HaproxyBed)
        return self.proxy.bed

    @property
    def socket(self) -> str:
        return str(self.bed.socket)

    @property
    def page(self) -> str:
        return f"http://{IP}:{self._stats}/;csv"

    def ask(self, times: int) -> None:
        """Ask so often, on one connection."""
        with self.proxy.client() as client:
            for _ in range(times):
                assert client.ask("web").status == 200


@pytest.fixture
def other() -> Iterator[EchoApp]:
    with EchoApp("other", "127.0.0.2") as app:
        yield app


@pytest.fixture
def front(tmp_path: Path, one: EchoApp, other: EchoApp) -> Iterator[Front]:
    with BuiltinBed(Builtin.HAPROXY, tmp_path) as proxy:
        yield Front(proxy, one, other)


def machines(*apps: EchoApp) -> list[Machine]:
    return [machine(number, app.ip, port=app.port) for number, app in enumerate(apps, 1)]


def meter(metric: Metric, source: str, clock: Clock | None = None) -> Meter:
    return open_meter(measured(metric, source), FakeCloud().provider("web"), clock=clock or Clock())


@contextlib.contextmanager
def held(port: int, count: int) -> Iterator[None]:
    """So many requests under way, each on a connection of its own."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((IP, port), timeout=10))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        yield


@pytest.mark.parametrize("way", ["socket", "page"])
def test_each_request_counts_also_on_a_connection_that_is_kept(front: Front, way: str) -> None:
    clock = Clock()
    measuring = meter(Metric.REQUESTS, getattr(front, way), clock)
    ours = machines(*front.apps)
    assert measuring.measure(ours, 1).load is None
    front.ask(30)
    clock.now_s += 10
    sample = measuring.measure(ours, 11)
    assert sample.load == pytest.approx(3.0)
    assert len(sample.values) == 2
    clock.now_s += 10
    assert measuring.measure(ours, 21) == Sample(21, (0.0, 0.0), 2)


def test_health_checks_and_what_others_are_asked_do_not_count(front: Front, one: EchoApp) -> None:
    clock = Clock()
    measuring = meter(Metric.REQUESTS, front.socket, clock)
    measuring.measure(machines(one), 1)
    front.ask(30)
    clock.now_s += 10
    served = sum(1 for seen in one.seen if seen.headers.get("x-forwarded-for"))
    assert measuring.measure(machines(one), 11).load == pytest.approx(served / 10)


def test_after_a_restart_one_look_is_without_data(front: Front) -> None:
    clock = Clock()
    measuring = meter(Metric.REQUESTS, front.socket, clock)
    ours = machines(*front.apps)
    front.ask(30)
    measuring.measure(ours, 1)
    front.bed.restart()
    clock.now_s += 10
    assert measuring.measure(ours, 11).load is None
    front.ask(10)
    clock.now_s += 10
    assert measuring.measure(ours, 21).load == pytest.approx(1.0)


@pytest.mark.parametrize("ways", [("socket",), ("page",), ("socket", "page")])
def test_sessions_are_those_under_way_summed_over_the_balancers(
    tmp_path: Path, ways: tuple[str, ...]
) -> None:
    """One haproxy, asked in two ways, stands for two."""
    with App() as app, BuiltinBed(Builtin.HAPROXY, tmp_path) as proxy:
        front = Front(proxy, EchoApp("hangs", port=app.port))
        app.hanging.set()
        measuring = meter(Metric.SESSIONS, ",".join(getattr(front, way) for way in ways))
        ours = machines(*front.apps)
        assert measuring.measure(ours, 1) == Sample(1, (0.0,), 1)
        with held(proxy.port, 3):
            wait_for(lambda: measuring.measure(ours, 2).load == 3 * len(ways))
            app.hanging.clear()
            app.released.set()
            wait_for(lambda: measuring.measure(ours, 3).load == 0)


@pytest.mark.parametrize("way", ["socket", "page"])
def test_what_waits_for_any_server_and_for_ours_is_the_queue(tmp_path: Path, way: str) -> None:
    with App() as app, BuiltinBed(Builtin.HAPROXY, tmp_path) as proxy:
        front = Front(proxy, EchoApp("hangs", port=app.port))
        app.hanging.set()
        front.bed.ask(f"set maxconn server web/{IP}:{app.port} 1")
        measuring = meter(Metric.QUEUE, getattr(front, way))
        ours = machines(*front.apps)
        assert measuring.measure(ours, 1) == Sample(1, (0.0,), 1)
        with held(proxy.port, 4):
            wait_for(lambda: measuring.measure(ours, 2).load == 3)


def test_a_server_that_was_added_while_it_ran_is_measured(front: Front) -> None:
    with EchoApp("late", "127.0.0.3") as late:
        name = f"{late.ip}:{late.port}"
        front.bed.ask(f"add server web/{name} {name} check inter 1s; enable server web/{name}")
        measuring = meter(Metric.SESSIONS, front.page)
        ours = machines(*front.apps, late)
        assert measuring.measure(ours, 1) == Sample(1, (0.0, 0.0, 0.0), 3)


@pytest.mark.parametrize(
    ("level", "name"), [("user", None), ("operator", None), ("operator", "an-own-name")]
)
def test_a_socket_of_little_power_is_enough(
    tmp_path: Path, one: EchoApp, level: str, name: str | None
) -> None:
    """With server names as the built-in has them; other names need one that tells addresses."""
    path, at = tmp_path / "low.sock", f"{one.ip}:{one.port}"
    config = (
        f"global\n    stats socket {path} mode 600 level {level}\n"
        "defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n"
        f"    timeout server 1s\nbackend web\n    server {name or at} {at}\n"
    )
    with HaproxyBed(tmp_path, config):
        measuring = meter(Metric.SESSIONS, str(path))
        assert measuring.measure(machines(one), 1) == Sample(1, (0.0,), 1)
