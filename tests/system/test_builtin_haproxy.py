"""What the built-in haproxy template promises beyond test_builtins.py and test_builtin_tries.py."""

import os
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from secretary.core.settings import Builtin
from tests.apps import free_port
from tests.rendered import render
from tests.system.builtin_bed import BuiltinBed, record
from tests.system.echo_app import IP, Client, EchoApp
from tests.system.haproxy_bed import BINARY, HaproxyBed
from tests.unit.renderer.records import instance
from tests.waiting import wait_for


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[BuiltinBed]:
    with BuiltinBed(Builtin.HAPROXY, tmp_path) as proxy:
        yield proxy


def _haproxy(proxy: BuiltinBed) -> HaproxyBed:
    assert isinstance(proxy.bed, HaproxyBed)
    return proxy.bed


def test_a_server_can_join_while_it_runs_with_all_that_stands_on_its_line(
    proxy: BuiltinBed, one: EchoApp
) -> None:
    proxy.serve(known=("web",))
    assert proxy.ask("web").status == 503
    text = render(Builtin.HAPROXY, record(one), instance(ip="2001:db8::5", port=8080))
    lines = [line.split() for line in text.splitlines() if line.startswith("    server ")]
    bed = _haproxy(proxy)
    for _, name, *words in lines:
        assert "New server registered" in bed.ask(f"add server web/{name} {' '.join(words)}")
        bed.ask(f"enable health web/{name}; enable server web/{name}")
    assert set(bed.servers("web")) == {f"{IP}:{one.port}", "2001:db8::5:8080"}
    assert proxy.ask("web").app == "one"
    bed.ask("disable server web/2001:db8::5:8080")
    bed.ask(f"set server web/{IP}:{one.port} weight 0")
    answer = proxy.ask("web")
    assert (answer.status, answer.body) == (503, "No instance can take this request.\n")
    bed.ask(f"set server web/{IP}:{one.port} weight 1")
    assert proxy.ask("web").app == "one"


@pytest.mark.parametrize("name", ["123", "GLOBAL", "stats", "http", "A.b_c-d"])
def test_the_servers_of_oddly_named_services_can_be_asked_for(
    proxy: BuiltinBed, one: EchoApp, name: str
) -> None:
    proxy.serve(record(one, name), record(one, "web"))
    bed = _haproxy(proxy)
    assert set(bed.servers(name)) == {f"{IP}:{one.port}"}
    bed.ask(f"set server {name}/{IP}:{one.port} weight 7")
    assert bed.servers(name)[f"{IP}:{one.port}"][1] == 7
    assert bed.servers("web")[f"{IP}:{one.port}"][1] == 100


def test_its_own_http_check_finds_a_sick_app(proxy: BuiltinBed, one: EchoApp, two: EchoApp) -> None:
    two.failing.add("/healthz")
    proxy.serve(record(one), record(two), vars={"check.web": "/healthz", "check-interval": "200ms"})
    wait_for(lambda: "DOWN" in _haproxy(proxy).ask("show stat web -1 -1"), timeout_s=15)
    assert {proxy.ask("web").app for _ in range(4)} == {"one"}
    checked = next(seen for seen in two.seen if seen.path == "/healthz")
    assert (checked.method, checked.headers["host"]) == ("GET", "web")
    two.failing.clear()
    wait_for(lambda: proxy.ask("web").app == "two")


def test_without_a_path_a_connection_is_check_enough(
    proxy: BuiltinBed, one: EchoApp, two: EchoApp
) -> None:
    proxy.serve(record(one), record(two), vars={"check-interval": "100ms"})
    two.__exit__()
    wait_for(lambda: "DOWN" in _haproxy(proxy).ask("show stat web -1 -1"), timeout_s=15)
    assert {proxy.ask("web").app for _ in range(4)} == {"one"}
    two.__enter__()
    wait_for(lambda: proxy.ask("web").app == "two")


def test_statistics_are_a_page_and_metrics(proxy: BuiltinBed, one: EchoApp) -> None:
    port = free_port()
    proxy.serve(record(one), vars={"stats": f"{IP}:{port}"})
    with Client(port) as client:
        assert "web" in client.ask("any").body
        assert (
            'haproxy_backend_status{proxy="web",state="UP"} 1'
            in client.ask("any", path="/metrics").body
        )


def test_haproxy_answers_for_itself_at_a_path_that_no_app_gets_to_see(
    proxy: BuiltinBed, one: EchoApp
) -> None:
    proxy.serve(record(one), vars={"monitor": "/haproxy-lives", "default": "web"})
    assert "200 OK" in proxy.ask("any", path="/haproxy-lives").body
    assert proxy.ask("any", path="/haproxy-lives/too").app == "one"


def test_the_admin_socket_is_there_when_asked_for_and_only_for_its_owner(
    proxy: BuiltinBed, one: EchoApp, tmp_path: Path
) -> None:
    path = tmp_path / "runtime.sock"
    proxy.serve(record(one), vars={"runtime": str(path)})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(path))
        admin.sendall(b"show servers state web\n")
        assert str(one.port) in admin.recv(4096).decode()


def test_every_request_is_in_the_log(proxy: BuiltinBed, one: EchoApp) -> None:
    proxy.serve(record(one))
    proxy.ask("web", path="/some/path")
    wait_for(lambda: '"GET /some/path HTTP/1.1"' in _haproxy(proxy).log)


def test_the_app_is_told_when_it_was_https(proxy: BuiltinBed, one: EchoApp, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("web").private_key_and_cert_chain_pem.write_to_path(tmp_path / "web.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    secure = free_port()
    words = f"ssl crt {tmp_path / 'web.pem'} alpn http/1.1"
    proxy.serve(record(one), vars={"listen": f"{IP}:{proxy.port}, {IP}:{secure} {words}"})
    with Client(secure, tls=context) as client:
        assert client.ask("web").got["x-forwarded-proto"] == "https"
    assert proxy.ask("web").got["x-forwarded-proto"] == "http"


def test_the_rights_of_a_user_are_taken(proxy: BuiltinBed, one: EchoApp) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give its rights away")
    proxy.serve(record(one), vars={"user": "nobody:nogroup"})
    worker = Path(f"/proc/{_haproxy(proxy).worker_pid}")
    assert worker.stat().st_uid == 65534
    assert proxy.ask("web").app == "one"


@pytest.mark.parametrize("balance", ["roundrobin", "leastconn"])
def test_both_ways_to_balance_take_servers_that_join(balance: str, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(render(Builtin.HAPROXY, instance(), vars={"balance": balance}))
    done = subprocess.run(
        [BINARY, "-c", "-q", "-f", str(config)], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
    assert f"balance {balance}\n" in config.read_text()
