"""What is made of HAProxy's statistics."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.errors import MeterError, SettingsError
from secretary.core.scaling import Metric
from secretary.scaler.meters import open_meter
from secretary.scaler.meters.rates import Counters
from secretary.scaler.meters.stats import Stats
from secretary.scaler.ports import Meter
from secretary.scaler.samples import Sample
from tests import hostile as h
from tests.fakes.cloud import FakeCloud
from tests.hostile import hostile
from tests.unit.scaler.machines import machine, measured

TWO = (machine(1, "10.0.0.1"), machine(2, "10.0.0.2"))
HEAD = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,type,addr,"
QUICK_S = 0.3


def server(name: str, requests: int = 0, sessions: int = 0, queue: int = 0, addr: str = "") -> str:
    return f"web,{name},{queue},9,{sessions},9,,{requests},2,{addr},"


def csv(*servers: str, queue: int = 0) -> str:
    """Statistics with two other backends of the same servers."""
    others = [line.replace("web,", other, 1) for other in ("Web,", "web2,") for line in servers]
    frontend, backend = (
        "_http,FRONTEND,,,1,9,99,1000,0,,",
        f"web,BACKEND,{queue},9,99,9,99,1000,1,,",
    )
    return "\n".join([HEAD, frontend, *others, *servers, backend, ""])


def read(*servers: str, queue: int = 0) -> Stats:
    stats = Stats.read(csv(*servers, queue=queue), "web")
    assert stats is not None
    return stats


class Balancers:
    """Admin sockets that say what a test has them say; `now_s` is what the meter's clock shows.

    `heard` are the commands.
    """

    def __init__(self, directory: Path, count: int) -> None:
        self.paths = [directory / f"{number}.sock" for number in range(count)]
        self.says = [csv() for _ in self.paths]
        self.now_s = 100.0
        self.heard: list[str] = []

    @property
    def source(self) -> str:
        return ", ".join(map(str, self.paths))

    def meter(self, metric: Metric) -> Meter:
        group = measured(metric, self.source)
        return open_meter(group, FakeCloud().provider("web"), 5.0, lambda: self.now_s)


@contextmanager
def balancers(directory: Path, count: int = 1) -> Iterator[Balancers]:
    made = Balancers(directory, count)

    def serve(number: int, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                made.heard.append(connection.recv(1000).decode())
                connection.sendall(f"{made.says[number]}\n".encode())

    listeners = [socket.socket(socket.AF_UNIX) for _ in made.paths]
    threads = [threading.Thread(target=serve, args=each) for each in enumerate(listeners)]
    for listener, path, thread in zip(listeners, made.paths, threads, strict=True):
        listener.bind(str(path))
        listener.listen()
        thread.start()
    try:
        yield made
    finally:
        for listener, thread in zip(listeners, threads, strict=True):
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            listener.close()


def test_a_server_is_a_machines_by_its_name_as_our_template_gives_it() -> None:
    stats = read(server("10.0.0.1:80", 7), server("10.0.0.2:80", 8), server("fd00::1:80", 9))
    assert [each.requests for each in stats.of(machine(1, "10.0.0.2"))] == [8]
    assert [each.requests for each in stats.of(machine(1, "fd00:0::1"))] == [9]


def test_a_server_is_a_machines_by_its_address_where_that_is_told() -> None:
    stats = read(server("a", 7, addr="10.0.0.1:80"), server("10.0.0.1:81", 8, addr="[fd00::1]:80"))
    assert [each.requests for each in stats.of(machine(1, "10.0.0.1"))] == [7]
    assert [each.requests for each in stats.of(machine(1, "fd00::1"))] == [8]


def test_machines_that_share_an_address_are_told_apart_by_their_ports() -> None:
    stats = read(server("10.0.0.1:30001", 7), server("10.0.0.1:30002", 8))
    assert [each.requests for each in stats.of(machine(1, "10.0.0.1", port=30002))] == [8]
    assert [each.requests for each in stats.of(machine(1, "10.0.0.1"))] == [7, 8]
    assert not stats.of(machine(1, "10.0.0.1", port=30003))
    assert not stats.of(machine(1, None))


@pytest.mark.parametrize("name", ["web-1", "host.example:80", "10.0.0.1:", "10.0.0.1:http", ":80"])
def test_a_server_that_says_no_address_is_nobodys(name: str) -> None:
    assert read(server(name)).servers == {}


def test_a_backend_that_is_not_there_is_none() -> None:
    assert Stats.read(csv(server("10.0.0.1:80")), "Shop") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "Unknown command: 'show'",
        "# pxname,svname,qcur\nweb,BACKEND,0\n",
        csv(server("10.0.0.1:80"))[:-12],
        csv(server("10.0.0.1:80", sessions=-1)),
        f"{HEAD}\nweb,BACKEND,many,9,99,9,99,1000,1,,\n",
        f"{HEAD}\nweb,BACKEND,,9,99,9,99,1000,1,,\n",
        f"{HEAD}\n" + '"' * 3 + f"{'x' * 200_000}\n",
    ],
)
def test_what_is_not_such_a_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
        Stats.read(text, "web")


@given(st.text() | st.text(alphabet='web,0129"\n# BACKEND').map(lambda text: f"{HEAD}\n{text}"))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        Stats.read(text, "web")
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017


def test_a_rate_is_what_was_counted_between_two_looks() -> None:
    before = Counters(100.0, {"same": 50, "more": 50, "fell": 50, "gone": 50})
    now = Counters(110.0, {"same": 50, "more": 75, "fell": 49, "new": 1000})
    assert now.since(before) == {"same": 0.0, "more": 2.5}
    assert now.since(None) == {}
    assert now.since(now) == {}


def test_sessions_are_those_of_each_machine(tmp_path: Path) -> None:
    with balancers(tmp_path) as some:
        some.says[0] = csv(server("10.0.0.1:80", sessions=4), server("10.0.0.2:80", sessions=6))
        assert some.meter(Metric.SESSIONS).measure(TWO, 7) == Sample(7, (4.0, 6.0), 2)
        assert some.heard == ["show stat web 6 -1\n"]


def test_several_balancers_are_summed(tmp_path: Path) -> None:
    with balancers(tmp_path, 2) as some:
        some.says = [
            csv(server("10.0.0.1:80", sessions=4), server("10.0.0.2:80", sessions=6)),
            csv(server("10.0.0.1:80", sessions=1)),  # has not taken the second one up yet
        ]
        assert some.meter(Metric.SESSIONS).measure(TWO, 7) == Sample(7, (5.0, 6.0), 2)


def test_requests_need_two_looks(tmp_path: Path) -> None:
    with balancers(tmp_path) as some:
        meter = some.meter(Metric.REQUESTS)
        some.says[0] = csv(server("10.0.0.1:80", 1000), server("10.0.0.2:80", 0))
        first = meter.measure(TWO, 7)
        assert (first, first.load) == (Sample(7, (), 2), None)
        some.now_s += 10
        some.says[0] = csv(server("10.0.0.1:80", 1200), server("10.0.0.2:80", 100))
        assert meter.measure(TWO, 17) == Sample(17, (20.0, 10.0), 2)


def test_a_counter_that_fell_back_is_no_data(tmp_path: Path) -> None:
    """As after a reload: half of the machines is not enough to remove one."""
    with balancers(tmp_path, 2) as some:
        meter = some.meter(Metric.REQUESTS)
        some.says = [csv(server("10.0.0.1:80", 1000), server("10.0.0.2:80", 1000))] * 2
        meter.measure(TWO, 7)
        some.now_s += 10
        some.says[1] = csv(server("10.0.0.1:80", 5), server("10.0.0.2:80", 1010))
        assert meter.measure(TWO, 17) == Sample(17, (1.0,), 2)
        some.now_s += 10
        assert meter.measure(TWO, 27) == Sample(27, (0.0, 0.0), 2)


def test_a_look_that_failed_makes_the_next_one_longer(tmp_path: Path) -> None:
    with balancers(tmp_path) as some:
        meter = some.meter(Metric.REQUESTS)
        for count, now_s in ((1000, 100.0), (None, 110.0), (1400, 120.0)):
            some.now_s = now_s
            if count is None:
                some.says[0] = "what?\n"
                with pytest.raises(MeterError):
                    meter.measure(TWO, now_s)
                continue
            some.says[0] = csv(server("10.0.0.1:80", count), server("10.0.0.2:80", count))
            sample = meter.measure(TWO, now_s)
        assert sample == Sample(120.0, (20.0, 20.0), 2)


def test_the_queue_is_what_waits_for_ours_and_for_anybody(tmp_path: Path) -> None:
    with balancers(tmp_path, 2) as some:
        others = server("10.0.0.9:80", queue=100)
        some.says = [
            csv(server("10.0.0.1:80", queue=3), others, queue=10),
            csv(server("10.0.0.2:80", queue=1), others, queue=6),
        ]
        assert some.meter(Metric.QUEUE).measure(TWO, 7) == Sample(7, (10.0, 10.0), 2)


@pytest.mark.parametrize("metric", [Metric.REQUESTS, Metric.SESSIONS])
def test_machines_of_which_none_is_there_are_told(tmp_path: Path, metric: Metric) -> None:
    with balancers(tmp_path, 2) as some, pytest.raises(MeterError) as caught:
        some.meter(metric).measure(TWO, 7)
    assert str(caught.value).startswith(
        f"{some.source}: of 2 machines none is a server there: name servers address:port"
    )


def said(some: Balancers, *, of: int = 0) -> str:
    with pytest.raises(MeterError) as caught:
        some.meter(Metric.SESSIONS).measure(TWO, 7)
    path, _, words = str(caught.value).partition(": ")
    assert path == str(some.paths[of])
    return words


def test_one_balancer_that_says_nothing_of_use_is_enough_to_know_nothing(tmp_path: Path) -> None:
    with balancers(tmp_path, 2) as some:
        some.says = [csv(server("10.0.0.1:80")), csv(server("10.0.0.1:80"))]
        some.says[1] = "No such proxy.\n"
        assert said(some, of=1) == "has no backend web, the service's name"
        some.says[1] = csv(server("10.0.0.1:80")).replace("web,", "shop,")
        assert said(some, of=1) == "has no backend web, the service's name"
        some.says[1] = "Permission denied\n"
        assert said(some, of=1).startswith("answers no statistics in CSV")
        some.says[1] = csv(server("10.0.0.1:80"))[:-20]
        assert said(some, of=1) == "hung up in the middle of its answer"
        some.paths[1].unlink()
        assert said(some, of=1) == (
            "No such file or directory; does haproxy run, and with this socket?"
        )
        some.paths[1] = tmp_path / ("x" * 200)
        assert said(some, of=1) == (
            "AF_UNIX path too long; does haproxy run, and with this socket?"
        )


def test_a_socket_that_takes_connections_and_says_nothing_is_given_up_on(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        meter = open_meter(measured(Metric.QUEUE, str(path)), FakeCloud().provider("web"), QUICK_S)
        with pytest.raises(MeterError) as caught:
            meter.measure(TWO, 7)
    assert str(caught.value) == f"{path}: no answer within {QUICK_S:g} s"


def answered(body: str) -> h.Behaviour:
    return h.says(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def test_a_page_is_read_as_the_socket_is() -> None:
    body = csv(server("10.0.0.1:80", sessions=4), server("10.0.0.2:80", sessions=6))
    with hostile(answered(body)) as port:
        group = measured(Metric.SESSIONS, f"http://127.0.0.1:{port}/;csv")
        meter = open_meter(group, FakeCloud().provider("web"))
        assert meter.measure(TWO, 7) == Sample(7, (4.0, 6.0), 2)


def test_a_page_that_is_not_the_one_in_csv_is_told() -> None:
    with hostile(answered("<!DOCTYPE html>")) as port:
        group = measured(Metric.SESSIONS, f"http://127.0.0.1:{port}/")
        with pytest.raises(MeterError) as caught:
            open_meter(group, FakeCloud().provider("web")).measure(TWO, 7)
    assert str(caught.value) == (
        f"http://127.0.0.1:{port}/: answers no statistics in CSV; of a page, give the URL with"
        " ;csv at its end"
    )


@pytest.mark.parametrize("metric", [Metric.REQUESTS, Metric.SESSIONS, Metric.QUEUE])
@pytest.mark.parametrize("source", ["admin.sock", "/run/a.sock,", "http://me:secret@lb/;csv"])
def test_a_source_that_cannot_be_one_is_refused(metric: Metric, source: str) -> None:
    with pytest.raises(SettingsError, match=r"^group web: source: got '.*', allowed: ") as caught:
        open_meter(measured(metric, source), FakeCloud().provider("web"))
    assert "secret@" not in str(caught.value)
