"""How both built-in templates have a proxy use its connections, and when it tries again."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.core.settings import Builtin
from tests.apps import free_port
from tests.system.builtin_bed import BuiltinBed, record
from tests.system.echo_app import IP, EchoApp
from tests.unit.renderer.records import instance


@pytest.fixture(params=Builtin, ids=lambda builtin: builtin.value)
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BuiltinBed]:
    with BuiltinBed(request.param, tmp_path) as proxy:
        yield proxy


def test_connections_to_apps_are_kept(proxy: BuiltinBed, one: EchoApp, two: EchoApp) -> None:
    proxy.serve(record(one), record(two))
    with proxy.client() as client:
        for _ in range(50):
            assert client.ask("web").status == 200
            assert client.ask("web", "POST", body=b"x").status == 200
    assert len(one.seen) + len(two.seen) == 100
    assert len(one.connections) + len(two.connections) <= 4


def test_connections_to_apps_are_shared_by_all_clients(proxy: BuiltinBed, one: EchoApp) -> None:
    proxy.serve(record(one))
    assert {proxy.ask("web").status for _ in range(30)} == {200}
    assert len(one.connections) <= 8, "one for each worker or thread, at most"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_connection_is_made_elsewhere(
    proxy: BuiltinBed, one: EchoApp, method: str
) -> None:
    gone = [instance(port=free_port(), ip=IP), instance(port=free_port(), ip="127.0.0.2")]
    proxy.serve(record(one), *gone)
    answers = [proxy.ask("web", method, body=b"x" if method == "POST" else None) for _ in range(15)]
    assert {(answer.status, answer.app) for answer in answers} == {(200, "one")}
    assert len(one.seen) == 15


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_may_be_done_twice_is_tried_again_elsewhere(
    proxy: BuiltinBed, one: EchoApp, two: EchoApp, method: str
) -> None:
    two.dropping.set()
    proxy.serve(record(one), record(two))
    answers = [proxy.ask("web", method) for _ in range(6)]
    assert {(answer.status, answer.app) for answer in answers} == {(200, "one")}
    assert two.seen


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_not_be_done_twice_is_not(
    proxy: BuiltinBed, one: EchoApp, two: EchoApp, method: str
) -> None:
    one.dropping.set()
    two.dropping.set()
    proxy.serve(record(one), record(two))
    for number in range(1, 5):
        assert proxy.ask("web", method, body=b"x").status == 502
        assert len(one.seen) + len(two.seen) == number


def test_tries_are_bounded(proxy: BuiltinBed) -> None:
    apps = [EchoApp(str(number)) for number in range(6)]
    for app in apps:
        app.dropping.set()
    with apps[0], apps[1], apps[2], apps[3], apps[4], apps[5]:
        proxy.serve(*(record(app) for app in apps))
        assert proxy.ask("web").status == 502
        assert 2 <= sum(len(app.seen) for app in apps) <= 4


def test_an_answer_that_does_not_come_is_tried_elsewhere(proxy: BuiltinBed, one: EchoApp) -> None:
    with socket.create_server((IP, 0)) as hung:
        proxy.serve(
            record(one), instance(ip=IP, port=hung.getsockname()[1]), vars={"read-timeout": "500ms"}
        )
        assert {proxy.ask("web").app for _ in range(3)} == {"one"}
