"""A real haproxy takes up what changes in its servers while it runs, without a reload."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from secretary.core.errors import ReloadFailed
from secretary.renderer.ports import Reconciled
from secretary.renderer.proxies.runtime import HaproxyRuntime
from tests.apps import App, free_port
from tests.secretaries import IP
from tests.system.echo_app import Client, EchoApp
from tests.system.haproxy_bed import HaproxyBed
from tests.traffic import Traffic
from tests.waiting import wait_for

NOTHING: Final = Reconciled(0)
MANY: Final = 5000
CHECK: Final = "check inter 200ms rise 1 fall 2"
SLOW_CHECK: Final = "check inter 1h"
"""For servers where nobody is: no check fails within a test."""


class Site:
    """A frontend on `port`, whose backend `web` has the servers that a test puts there."""

    def __init__(self) -> None:
        self.port = free_port()

    def config(self, *servers: str, balance: str = "roundrobin", more: str = "") -> str:
        return (
            "defaults\n    mode http\n    timeout connect 1s\n    timeout client 30s\n"
            "    timeout server 30s\n    timeout queue 1s\n    retries 3\n"
            "    option redispatch 1\n    retry-on conn-failure empty-response\n"
            f"frontend f\n    bind {IP}:{self.port}\n    default_backend web\n"
            f"{more}"
            f"backend web\n    balance {balance}\n"
            + "".join(f"    server {server}\n" for server in servers)
        )


@pytest.fixture
def site() -> Site:
    return Site()


@contextlib.contextmanager
def running(
    directory: Path, config: str, **how: bool
) -> Iterator[tuple[HaproxyBed, HaproxyRuntime]]:
    """A haproxy that has loaded `config`, and the runtime that knows it."""
    with HaproxyBed(directory, config, **how) as bed:
        runtime = HaproxyRuntime(str(bed.socket))
        runtime.loaded(config)
        yield bed, runtime


def server(app: EchoApp | App, more: str = CHECK, weight: int = 100) -> str:
    """Return the line of a server as the built-in template writes it."""
    ip = getattr(app, "ip", IP)
    addr = f"[{ip}]:{app.port}" if ":" in ip else f"{ip}:{app.port}"
    return f"{ip}:{app.port} {addr} weight {weight} {more}"


def asked(port: int) -> str:
    """Return which app answers a request on a connection of its own."""
    with Client(port) as client:
        return client.ask("web").app


@contextlib.contextmanager
def held(port: int) -> Iterator[socket.socket]:
    """A connection through the proxy that lasts: what is sent on it comes back."""
    with socket.create_connection((IP, port), timeout=10) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        yield connection


def echoes(connection: socket.socket) -> bool:
    connection.sendall(b"hello")
    return connection.recv(5) == b"hello"


def have_requests(apps: Sequence[EchoApp]) -> None:
    """Wait until each of the apps has got a few more requests."""
    before = [len(app.seen) for app in apps]
    wait_for(
        lambda: all(len(app.seen) > seen + 2 for app, seen in zip(apps, before, strict=True)),
        what=f"the apps on {[app.port for app in apps]} got requests",
    )


# Coming and going


def test_servers_come_and_go_without_a_reload(tmp_path: Path, site: Site) -> None:
    """In a backend that had none when haproxy started."""
    with (
        running(tmp_path, site.config()) as (bed, runtime),
        EchoApp("one") as one,
        EchoApp("two") as two,
    ):
        worker = bed.worker_pid
        assert runtime.reconcile(site.config(server(one))) == Reconciled(1)
        assert {asked(site.port) for _ in range(4)} == {"one"}
        both = site.config(server(one), server(two))
        assert runtime.reconcile(both) == Reconciled(1)
        assert {asked(site.port) for _ in range(4)} == {"one", "two"}
        assert runtime.reconcile(both) == NOTHING
        assert runtime.reconcile(site.config(server(two))) == Reconciled(1)
        assert {asked(site.port) for _ in range(4)} == {"two"}
        assert runtime.reconcile(site.config()) == Reconciled(1)
        with Client(site.port) as client:
            assert client.ask("web").status == 503
        assert bed.servers("web") == {}
        assert bed.worker_pid == worker


def test_what_comes_and_goes_under_load_loses_no_request(tmp_path: Path, site: Site) -> None:
    with contextlib.ExitStack() as stack:
        apps = [stack.enter_context(EchoApp(name)) for name in ("one", "two", "three")]
        # Idle connections that a client had held when its server left are closed at this pace.
        lines = [server(app, f"{CHECK} pool-purge-delay 200ms") for app in apps]
        bed, runtime = stack.enter_context(running(tmp_path, site.config(lines[0])))
        worker = bed.worker_pid
        with Traffic(site.port) as traffic:
            for lot in [[1], [0, 1], [0, 1, 2], [2], [1, 2], [0]] * 3:
                assert runtime.reconcile(site.config(*(lines[n] for n in lot))).structure is None
                have_requests([apps[number] for number in lot])
        assert traffic.requests
        assert not traffic.failures, traffic.told()
        wait_for(lambda: runtime.reconcile(site.config(lines[0])).leaving == 0)
        assert list(bed.servers("web")) == [f"{IP}:{apps[0].port}"]
        assert bed.worker_pid == worker


@pytest.mark.parametrize(
    "balance", ["roundrobin", "leastconn", "random", "uri\n    hash-type consistent"]
)
def test_every_server_that_was_added_gets_its_share(
    tmp_path: Path, site: Site, balance: str
) -> None:
    """haproxy 2.6 forgets some where it balances by hash or random, unless they have an id."""
    with contextlib.ExitStack() as stack:
        apps = [stack.enter_context(EchoApp(str(number))) for number in range(4)]
        _, runtime = stack.enter_context(running(tmp_path, site.config(balance=balance)))
        wanted = site.config(*(server(app, SLOW_CHECK) for app in apps), balance=balance)
        assert runtime.reconcile(wanted) == Reconciled(4)
        for number in range(120):
            with Client(site.port) as client:
                client.ask("web", path=f"/{number}")
        assert all(len(app.seen) > 6 for app in apps), [len(app.seen) for app in apps]


def test_a_server_that_was_added_keeps_connections_for_the_next_request(
    tmp_path: Path, site: Site
) -> None:
    """haproxy 2.6 opens one for each request, unless it is told its own defaults."""
    with running(tmp_path, site.config()) as (_, runtime), EchoApp() as app:
        runtime.reconcile(site.config(server(app, SLOW_CHECK)))
        with Client(site.port) as client:
            for _ in range(20):
                assert client.ask("web").status == 200
        assert len(app.connections) < 5


def test_connections_that_are_idle_do_not_hold_a_removal_up(tmp_path: Path, site: Site) -> None:
    """haproxy closes them a moment after it is told that the server is in maintenance."""
    with EchoApp() as app:
        config = site.config(server(app, SLOW_CHECK))
        with running(tmp_path, config) as (bed, runtime):
            with contextlib.ExitStack() as clients:
                for _ in range(40):
                    clients.enter_context(Client(site.port)).ask("web")
            assert runtime.reconcile(site.config()) == Reconciled(1)
            assert bed.servers("web") == {}


def test_a_server_that_was_added_is_checked(tmp_path: Path, site: Site) -> None:
    more = "backend checked\n    option httpchk GET /healthz\n"
    with running(tmp_path, site.config(more=more)) as (bed, runtime), App() as app:
        web = site.config(more=more + f"    server a {IP}:{app.port} {CHECK}\n")

        def is_up() -> bool:
            return " 127.0.0.1 2 0 1 " in bed.ask("show servers state checked")

        assert runtime.reconcile(web) == Reconciled(1)
        wait_for(is_up)
        app.status = 500
        wait_for(lambda: not is_up(), what="it was down")
        app.status = 200
        wait_for(is_up)


def test_ipv6_servers_are_added_changed_and_removed(tmp_path: Path, site: Site) -> None:
    with running(tmp_path, site.config()) as (bed, runtime), EchoApp(ip="::1") as app:
        assert runtime.reconcile(site.config(server(app))) == Reconciled(1)
        assert asked(site.port) == "one"
        assert runtime.reconcile(site.config(server(app, weight=7))) == Reconciled(1)
        assert bed.servers("web") == {f"::1:{app.port}": (f"::1:{app.port}", 7, False)}
        assert runtime.reconcile(site.config(server(app, weight=7))) == NOTHING
        assert runtime.reconcile(site.config()) == Reconciled(1)
        assert bed.servers("web") == {}


def test_a_server_moves_to_another_address(tmp_path: Path, site: Site) -> None:
    with EchoApp("one") as one, EchoApp("two") as two:
        config = site.config(f"a {IP}:{one.port} {SLOW_CHECK}")
        with running(tmp_path, config) as (_, runtime):
            assert asked(site.port) == "one"
            moved = site.config(f"a {IP}:{two.port} {SLOW_CHECK}")
            assert runtime.reconcile(moved) == Reconciled(1)
            assert asked(site.port) == "two"


def test_servers_of_the_same_name_in_two_backends_are_two(tmp_path: Path, site: Site) -> None:
    def config(one: Sequence[str], two: Sequence[str]) -> str:
        other = "".join(f"    server {line}\n" for line in one)
        return site.config(*two, more=f"backend other\n{other}")

    a, b = f"a {IP}:1", f"b {IP}:2"
    with running(tmp_path, config([a, b], [a])) as (bed, runtime):
        assert runtime.reconcile(config([a], [a, f"{b} weight 5"])) == Reconciled(2)
        assert bed.servers("other") == {"a": (f"{IP}:1", 1, False)}
        assert bed.servers("web") == {"a": (f"{IP}:1", 1, False), "b": (f"{IP}:2", 5, False)}


# Draining and leaving


def test_weight_0_drains_and_another_weight_brings_back(tmp_path: Path, site: Site) -> None:
    with EchoApp("one") as one, EchoApp("two") as two:
        config = site.config(server(one), server(two))
        with running(tmp_path, config) as (_, runtime), held(site.port) as connection:
            drained = [server(app, weight=0) for app in (one, two) if app.seen]
            (kept,) = [server(app) for app in (one, two) if not app.seen]
            assert runtime.reconcile(site.config(*drained, kept)) == Reconciled(1)
            before = {app.name for app in (one, two) if not app.seen}
            assert {asked(site.port) for _ in range(6)} == before
            assert echoes(connection)
            assert runtime.reconcile(config) == Reconciled(1)
            assert {asked(site.port) for _ in range(6)} == {"one", "two"}


def test_weights_change_the_shares(tmp_path: Path, site: Site) -> None:
    with (
        EchoApp("one") as one,
        EchoApp("two") as two,
        running(tmp_path, site.config(server(one), server(two))) as (_, runtime),
    ):
        config = site.config(server(one, weight=256), server(two, weight=64))
        assert runtime.reconcile(config) == Reconciled(2)
        answers = [asked(site.port) for _ in range(50)]
        assert answers.count("one") == pytest.approx(40, abs=4)


def test_a_server_with_connections_leaves_when_they_end(tmp_path: Path, site: Site) -> None:
    with EchoApp() as app, running(tmp_path, site.config(server(app))) as (bed, runtime):
        with held(site.port) as connection:
            assert runtime.reconcile(site.config()) == Reconciled(1, leaving=1)
            assert runtime.reconcile(site.config()) == Reconciled(0, leaving=1)
            assert echoes(connection)
            with Client(site.port) as client:
                assert client.ask("web").status == 503
        wait_for(lambda: runtime.reconcile(site.config()) == Reconciled(1))
        assert bed.servers("web") == {}


def test_a_request_that_ends_soon_is_waited_for(tmp_path: Path, site: Site) -> None:
    """It ends here when haproxy has once said that the server still has connections."""
    with socket.create_server((IP, 0)) as app:
        name = f"{IP}:{app.getsockname()[1]}"
        config = site.config(f"{name} {name}")
        with (
            running(tmp_path, config) as (bed, _),
            socket.create_connection((IP, site.port), timeout=10) as client,
        ):
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            request, _ = app.accept()

            def answer(said: bytes) -> None:
                if b"still has connections" in said:
                    request.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                    request.close()

            with request, relayed(bed, tmp_path / "relay", [None], answer) as runtime:
                runtime.loaded(config)
                assert runtime.reconcile(site.config()) == Reconciled(1)
            assert bed.servers("web") == {}


def test_a_server_that_is_wanted_again_while_it_leaves_is_in_use_at_once(
    tmp_path: Path, site: Site
) -> None:
    with EchoApp() as app:
        config = site.config(server(app))
        with running(tmp_path, config) as (bed, runtime), held(site.port) as connection:
            assert runtime.reconcile(site.config()).leaving == 1
            assert runtime.reconcile(site.config(server(app, weight=5))) == Reconciled(1)
            assert asked(site.port) == "one"
            assert echoes(connection)
            assert bed.servers("web") == {f"{IP}:{app.port}": (f"{IP}:{app.port}", 5, False)}


# Arguments


def test_other_arguments_are_taken_up_where_another_server_helps_out(
    tmp_path: Path, site: Site
) -> None:
    with (
        EchoApp("one") as one,
        EchoApp("two") as two,
        running(tmp_path, site.config(server(one), server(two))) as (bed, runtime),
    ):
        config = site.config(server(one, "maxconn 5"), server(two))
        worker = bed.worker_pid
        with Traffic(site.port, keep_alive=False) as traffic:
            # It may have connections just then; that would be a matter for a reload.
            wait_for(lambda: runtime.reconcile(config) == Reconciled(1), timeout_s=30)
            assert runtime.reconcile(config) == NOTHING
            have_requests([one])
        assert not traffic.failures, traffic.told()
        assert limit(bed, f"{IP}:{one.port}") == "5"
        assert bed.worker_pid == worker


def limit(bed: HaproxyBed, name: str) -> str:
    """Return the maxconn of a server of `web`."""
    rows = [line.split(",") for line in bed.ask("show stat").splitlines()]
    (found,) = (row[6] for row in rows if row[:2] == ["web", name])
    return found


def test_other_arguments_of_the_only_server_are_for_a_reload(tmp_path: Path, site: Site) -> None:
    with EchoApp() as app, running(tmp_path, site.config(server(app))) as (bed, runtime):
        config = site.config(server(app, "maxconn 5"))
        said = runtime.reconcile(config).structure
        assert said == f"web/{IP}:{app.port} has other arguments, and nobody to take its requests"
        assert asked(site.port) == "one"
        bed.config.write_text(config)
        bed.reload()
        runtime.loaded(config)
        assert runtime.reconcile(config) == NOTHING


def test_a_server_that_cannot_be_replaced_stays_in_use_until_the_reload(
    tmp_path: Path, site: Site
) -> None:
    with (
        EchoApp("one") as one,
        EchoApp("two") as two,
        running(tmp_path, site.config(server(one), server(two))) as (_, runtime),
        held(site.port) as first,
        held(site.port) as second,
    ):
        said = runtime.reconcile(site.config(server(one, "maxconn 5"), server(two))).structure
        assert said is not None
        assert "connections that keep it from going" in said
        assert {asked(site.port) for _ in range(4)} == {"one", "two"}
        assert echoes(first)
        assert echoes(second)


# Reading back


@pytest.mark.parametrize(
    "command",
    [
        "disable server web/a",
        "set server web/a state drain",
        "set server web/a weight 50%",
        "set server web/a addr 127.0.0.9 port 99",
        "disable health web/a",
        "disable server web/a; del server web/a",
        "add server web/c 127.0.0.1:9",
    ],
)
def test_what_somebody_changes_by_hand_is_put_right(
    tmp_path: Path, site: Site, command: str
) -> None:
    config = site.config(f"a {IP}:1 weight 10 {SLOW_CHECK}", f"b {IP}:2")
    with running(tmp_path, config) as (bed, runtime):
        before = bed.servers("web")
        bed.ask(command)
        assert runtime.reconcile(config) == Reconciled(1)
        assert bed.servers("web") == before
        assert runtime.reconcile(config) == NOTHING


def test_a_server_of_unknown_making_is_made_anew(tmp_path: Path, site: Site) -> None:
    """Somebody else gave it its arguments, which haproxy does not tell."""
    with running(tmp_path, site.config(f"a {IP}:1")) as (bed, runtime):
        bed.ask(f"add server web/b {IP}:2 maxconn 3; enable server web/b")
        config = site.config(f"a {IP}:1", f"b {IP}:2 maxconn 7")
        assert runtime.reconcile(config) == Reconciled(1)
        assert runtime.reconcile(config) == NOTHING
        assert limit(bed, "b") == "7"


def test_a_haproxy_that_was_restarted_is_read_again(tmp_path: Path, site: Site) -> None:
    """By the file as it was written last, or by an older one."""
    one, two = (site.config(*(f"{name} {IP}:1" for name in names)) for names in ("a", "ab"))
    with running(tmp_path, one) as (bed, runtime):
        bed.config.write_text(two)
        assert runtime.reconcile(two) == Reconciled(1)
        bed.restart()
        assert runtime.reconcile(two) == NOTHING
        bed.config.write_text(one)
        bed.restart()
        assert runtime.reconcile(two) == Reconciled(1)
        assert bed.servers("web").keys() == {"a", "b"}


def test_an_old_state_file_does_not_last(tmp_path: Path, site: Site) -> None:
    state = tmp_path / "servers.state"
    more = (
        f"global\n    server-state-file {state}\ndefaults\n    load-server-state-from-file global\n"
    )
    config = more + site.config(f"a {IP}:1 weight 10").replace("defaults\n", "", 1)
    with running(tmp_path, config) as (bed, runtime):
        bed.ask("set server web/a weight 3; disable server web/a")
        state.write_text(bed.ask("show servers state"))
        bed.reload()
        assert bed.servers("web") == {"a": (f"{IP}:1", 3, True)}
        runtime.loaded(config)
        assert runtime.reconcile(config) == Reconciled(1)
        assert bed.servers("web") == {"a": (f"{IP}:1", 10, False)}


def test_an_answer_of_the_process_before_a_reload_does_not_count(
    tmp_path: Path, site: Site
) -> None:
    """It took the connection when the new one was not there yet."""
    config = site.config(f"a {IP}:1")
    with running(tmp_path, config) as (bed, _), socket.socket(socket.AF_UNIX) as old:
        old.connect(str(bed.socket))
        wait_for(lambda: bed.ask("show sess").count("fe=GLOBAL") == 2)  # it, and who asks
        bed.reload()
        with relayed(bed, tmp_path / "relay", [old, None]) as runtime:
            runtime.loaded(config)
            assert runtime.reconcile(site.config(f"a {IP}:1", f"b {IP}:2")) == Reconciled(1)
        assert bed.servers("web").keys() == {"a", "b"}


def test_what_haproxy_does_not_keep_is_for_a_reload(tmp_path: Path, site: Site) -> None:
    """Here because somebody is quicker than the second look."""
    looks: list[bytes] = []

    def look(told: bytes) -> None:
        looks.extend(line for line in told.splitlines() if line == b"show servers state")
        if len(looks) == 2:
            bed.ask("disable server web/b")

    config = site.config(f"a {IP}:1")
    with (
        running(tmp_path, config) as (bed, _),
        relayed(bed, tmp_path / "relay", [None], look) as runtime,
    ):
        runtime.loaded(config)
        said = runtime.reconcile(site.config(f"a {IP}:1", f"b {IP}:2"))
        assert said == Reconciled(1, structure="haproxy does not keep web/b as it was told")


@contextlib.contextmanager
def relayed(
    bed: HaproxyBed,
    path: Path,
    upstreams: Sequence[socket.socket | None],
    heard: Callable[[bytes], None] = lambda _: None,
) -> Iterator[HaproxyRuntime]:
    """A runtime whose connections go, one by one, through these to haproxy, None being a new one.

    `heard` gets what either says, before the other does.
    """

    def relay() -> None:
        for upstream in upstreams:
            client, _ = server.accept()
            with client, upstream or socket.socket(socket.AF_UNIX) as haproxy:
                if upstream is None:
                    haproxy.connect(str(bed.socket))
                back = threading.Thread(target=pump, args=(haproxy, client))
                back.start()
                pump(client, haproxy)
                back.join()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                heard(chunk)
                sink.sendall(chunk)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(10)
        thread = threading.Thread(target=relay)
        thread.start()
        yield HaproxyRuntime(str(path))
        thread.join()


# What only a reload can do


def test_without_knowing_what_is_loaded_only_a_reload_can_do_anything(
    tmp_path: Path, site: Site
) -> None:
    config = site.config(f"a {IP}:1")
    with running(tmp_path, config) as (bed, _):
        said = HaproxyRuntime(str(bed.socket)).reconcile(site.config()).structure
        assert said == "it is not known which configuration haproxy has loaded"
        assert bed.servers("web").keys() == {"a"}


def test_another_structure_changes_no_server(tmp_path: Path, site: Site) -> None:
    with running(tmp_path, site.config(f"a {IP}:1")) as (bed, runtime):
        other = site.config(f"b {IP}:2", more="backend new\n")
        assert runtime.reconcile(other) == Reconciled(0, structure="`backend new` is new")
        assert bed.servers("web").keys() == {"a"}
        bed.config.write_text(other)
        bed.reload()
        runtime.loaded(other)
        assert runtime.reconcile(other) == NOTHING


def test_a_backend_that_the_running_haproxy_does_not_have_is_for_a_reload(
    tmp_path: Path, site: Site
) -> None:
    with running(tmp_path, site.config(f"a {IP}:1")) as (bed, runtime):
        config = site.config(f"b {IP}:2", more="backend new\n")
        runtime.loaded(config)
        said = "the running haproxy does not have new"
        assert runtime.reconcile(config) == Reconciled(0, structure=said)
        assert bed.servers("web").keys() == {"a"}


@pytest.mark.parametrize(
    ("balance", "more", "reason"),
    [
        ("source", "", "Backend must use a dynamic load balancing"),
        ("roundrobin", "cookie x", "'cookie' option is not accepted for dynamic server"),
        ("roundrobin", "ca-file /nowhere", "'ca-file' : unable to load /nowhere"),
    ],
)
def test_what_haproxy_refuses_is_for_a_reload(
    tmp_path: Path, site: Site, balance: str, more: str, reason: str
) -> None:
    with running(tmp_path, site.config(f"a {IP}:1", balance=balance)) as (_, runtime):
        config = site.config(f"a {IP}:1", f"b {IP}:2 {more}", balance=balance)
        said = runtime.reconcile(config).structure
        assert said is not None
        assert said.startswith("haproxy refuses `add server web/b`: ")
        assert reason in said
        assert "\n" not in said


def test_a_server_that_a_rule_needs_is_removed_by_a_reload(tmp_path: Path, site: Site) -> None:
    rule = f"backend other\n    server t {IP}:9 track web/a\n"
    with running(tmp_path, site.config(f"a {IP}:1 {SLOW_CHECK}", more=rule)) as (_, runtime):
        said = runtime.reconcile(site.config(more=rule)).structure
        assert said is not None
        assert said.startswith("haproxy refuses `del server web/a`: ")


def test_a_socket_that_may_not_change_anything_is_told_by_its_level(
    tmp_path: Path, site: Site
) -> None:
    path = tmp_path / "user.sock"
    more = f"global\n    stats socket {path} level operator\n"
    config = more + site.config(f"a {IP}:1")
    with running(tmp_path, config):
        runtime = HaproxyRuntime(str(path))
        runtime.loaded(config)
        assert runtime.reconcile(config) == NOTHING
        said = runtime.reconcile(config + f"    server b {IP}:2\n").structure
        assert said is not None
        assert said.endswith("Permission denied; its line of `stats socket` needs `level admin`")


# No answer


def test_a_proxy_that_is_down_is_told_with_its_socket(tmp_path: Path, site: Site) -> None:
    config = site.config(f"a {IP}:1")
    with running(tmp_path, config) as (bed, runtime):
        bed.stop()
        with pytest.raises(ReloadFailed, match="Connection refused; does haproxy run") as failure:
            runtime.reconcile(config)
        assert str(bed.socket) in str(failure.value)
        bed.socket.unlink()
        with pytest.raises(ReloadFailed, match="No such file or directory"):
            runtime.reconcile(config)
        bed.start()
        assert runtime.reconcile(config) == NOTHING


def test_a_proxy_that_hangs_is_waited_for_no_longer_than_the_deadline(
    tmp_path: Path, site: Site
) -> None:
    config = site.config(f"a {IP}:1")
    with running(tmp_path, config, master=False) as (bed, _):
        runtime = HaproxyRuntime(str(bed.socket), timeout_s=0.3)
        runtime.loaded(config)
        os.kill(bed.pid, signal.SIGSTOP)
        try:
            began_s = time.monotonic()
            with pytest.raises(ReloadFailed, match=r"no answer within 0\.3 s"):
                runtime.reconcile(site.config(f"a {IP}:1", f"b {IP}:2"))
            assert time.monotonic() - began_s < 2
        finally:
            os.kill(bed.pid, signal.SIGCONT)
        assert runtime.reconcile(config).structure is None
        assert runtime.reconcile(config) == NOTHING


def test_something_else_that_answers_is_not_taken_for_haproxy(tmp_path: Path, site: Site) -> None:
    config = site.config(f"a {IP}:1")
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(2):
                    connection.recv(65536)
                    connection.sendall(b"what?\n> " * 3)
                connection.recv(65536)

        thread = threading.Thread(target=answer)
        thread.start()
        runtime = HaproxyRuntime(str(path))
        runtime.loaded(config)
        with pytest.raises(ReloadFailed, match=r"is answered with .*is it the admin socket"):
            runtime.reconcile(config)
        thread.join()


def test_answers_are_whole_in_whatever_pieces_they_come(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secretary.renderer.proxies.admin_socket.CHUNK", 1)
    with running(tmp_path, site.config(f"a {IP}:1")) as (bed, runtime):
        config = site.config(f"b {IP}:2 weight 5 {SLOW_CHECK}")
        assert runtime.reconcile(config) == Reconciled(2)
        assert bed.servers("web") == {"b": (f"{IP}:2", 5, False)}


# Many


def test_thousands_of_servers_come_change_and_go(
    tmp_path: Path, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    def many(count: int, weight: int) -> str:
        addrs = (f"10.0.{n // 250}.{n % 250}:8080" for n in range(count))
        return site.config(*(f"{a} {a} weight {weight} {SLOW_CHECK}" for a in addrs))

    with running(tmp_path, site.config()) as (bed, runtime):
        for doing, config, changes in (
            ("add all", many(MANY, 1), MANY),
            ("nothing", many(MANY, 1), 0),
            ("remove one", many(MANY - 1, 1), 1),
            ("add one", many(MANY, 1), 1),
            ("weigh all", many(MANY, 9), MANY),
            ("remove all", many(0, 1), MANY),
        ):
            began_s = time.monotonic()
            assert runtime.reconcile(config) == Reconciled(changes)
            took_ms = (time.monotonic() - began_s) * 1000
            with capsys.disabled():
                print(f"\n{MANY} servers, {doing}: {took_ms:.0f} ms", end="")  # noqa: T201
        assert bed.servers("web") == {}
