"""What both built-in templates promise, on the real proxies with real requests."""

import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.core.instance import Instance, State
from secretary.core.settings import Builtin
from tests.apps import free_port
from tests.rendered import render
from tests.system.builtin_bed import BuiltinBed, record
from tests.system.echo_app import IP, Client, EchoApp
from tests.system.haproxy_bed import BINARY as HAPROXY
from tests.system.nginx_bed import NginxBed
from tests.unit.renderer.records import instance


@pytest.fixture(params=Builtin, ids=lambda builtin: builtin.value)
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BuiltinBed]:
    with BuiltinBed(request.param, tmp_path) as proxy:
        yield proxy


ODD = (
    *("web.v2", "web_v2", "web-v2", "Web", "web", "WEB", "a..b", "a" * 46, "0", "123"),
    *("10.0.0.1", "default", "hostnames", "include", "volatile", "localhost", "http", "stats"),
    *("global", "GLOBAL", "MASTER", "defaults", "test", "r", "n", "nobody", "nginx", "haproxy"),
)
MIXED = (
    instance(ip="10.0.0.5"),
    instance(ip="2001:db8::5", port=8080),
    instance(ip="10.0.0.6", state=State.DRAINING),
    instance(ip="10.0.0.7", weight=0),
    instance("api", "10.1.0.1", weight=60000),
    instance("api", "10.1.0.2", weight=1),
    instance("Shop", "2001:db8::7"),
)
MANY = tuple(instance(f"s-{i}", f"10.0.{i}.{j}") for i in range(200) for j in (1, 2, 3))
ALL_VARS = {
    "listen": "127.0.0.1:8000, [::1]:8000, :8001, *:8002, 8003, [::]:8004, 0.0.0.0:8005, :8001",
    "default": "web",
    "stats": "127.0.0.1:8404",
    "connect-timeout": "250ms",
    "read-timeout": "1h",
    "hosts.web": f"www.example.com *.example.com WWW.example.com {'x' * 60}.example.com",
    "hosts.soon": "soon.example.com",
}


@pytest.mark.parametrize(
    ("records", "known", "vars"),
    [
        ((), (), {}),
        ((), ("web",), {}),
        ((), (), {"default": "web", "stats": "[::1]:8404"}),
        (MIXED, (), {}),
        (MIXED, ("empty",), ALL_VARS),
        (MANY, (), {}),
        (tuple(instance(name) for name in ODD), (), {}),
        (tuple(instance(name) for name in (*ODD, "a" * 63)), (), {}),
    ],
    ids=["nothing", "empty", "default", "mixed", "all-vars", "200-services", "odd", "odd-long"],
)
@pytest.mark.parametrize("builtin", Builtin, ids=lambda builtin: builtin.value)
def test_the_proxy_accepts_it_without_a_word(
    builtin: Builtin, records: tuple[Instance, ...], known: tuple[str, ...],
    vars: dict[str, str], tmp_path: Path,
) -> None:  # fmt: skip
    text = render(builtin, *records, known=known, vars=vars)
    if builtin is Builtin.NGINX:
        assert NginxBed(tmp_path, sites=text).check() == ""
    else:
        (tmp_path / "haproxy.cfg").write_text(text)
        assert _said(HAPROXY, "-c", "-q", "-f", str(tmp_path / "haproxy.cfg")) == (0, "")


def _said(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_host_chooses_the_service(proxy: BuiltinBed, one: EchoApp, two: EchoApp) -> None:
    hosts = {"hosts.web": "www.example.com *.sites.example.com", "hosts.web.api": "*.api.test"}
    proxy.serve(record(one), record(two, "web.api"), vars=hosts)
    for host, app in {
        "web": "one",
        "WEB": "one",
        "web:8080": "one",
        "web.": "one",
        "web.example.com": "one",
        "web.example.com:80": "one",
        "web.apis.example.com": "one",
        "web.api": "two",
        "Web.Api.example.com": "two",
        "www.example.com": "one",
        "www.example.com.": "one",
        "a.sites.example.com": "one",
        "a.b.sites.example.com:81": "one",
        "x.api.test": "two",
        "web.api.test": "two",
    }.items():
        assert proxy.ask(host).app == app, host
    for host in ("webb", "xweb", "example.com", "sites.example.com", "api", "www.web", "[::1]"):
        assert proxy.ask(host).status == 503, host


def test_a_host_given_by_the_operator_is_no_others(
    proxy: BuiltinBed, one: EchoApp, two: EchoApp
) -> None:
    hosts = {"hosts.web": "shop shop.example.com *.example.org"}
    proxy.serve(record(one), record(two, "shop"), record(two, "shop.example.com"), vars=hosts)
    answers = {host: proxy.ask(host).app for host in ("shop", "shop.example.com", "shop.test")}
    assert answers == {"shop": "one", "shop.example.com": "one", "shop.test": "two"}
    assert proxy.ask("shop.example.org").app == "one"


def test_names_too_long_for_a_hash_are_chosen_likewise(
    proxy: BuiltinBed, one: EchoApp, two: EchoApp
) -> None:
    long = "a" * 59 + ".web"
    hosts = {"hosts.web": f"web.{long}.example.com *.{long}.test", "hosts.shop": "*.example.com"}
    proxy.serve(record(one, long), record(two), record(two, "shop"), vars=hosts)
    for host, app in {
        long: "one",
        f"{long}.test": "one",
        f"x.{long}.test": "two",
        f"web.{long}.example.com": "two",
        f"{long}.example.com": "two",
        "web.test": "two",
    }.items():
        assert proxy.ask(host).app == app, host
    for host in (long.replace(".", "x"), "xweb", "webx.test"):
        assert proxy.ask(host).status == 503, host


@pytest.mark.parametrize("longest", [46, 63])
def test_the_names_of_services_mean_nothing_else(
    proxy: BuiltinBed, one: EchoApp, two: EchoApp, longest: int
) -> None:
    names = [name for name in (*ODD, "z" * longest) if name not in ("Web", "WEB", "a..b")]
    proxy.serve(*(record(one, name) for name in names), record(two, "a..b"), record(two, "Web"))
    assert {name: proxy.ask(name).app for name in names} == dict.fromkeys(names, "one")
    assert proxy.ask("no-one").status == 503


def test_a_host_that_nobody_has_is_answered_by_the_default_or_503(
    proxy: BuiltinBed, one: EchoApp
) -> None:
    proxy.serve(record(one))
    answer = proxy.ask("shop")
    assert (answer.status, answer.body) == (503, "No service answers for this host.\n")
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "text/plain"
    proxy.serve(record(one), vars={"default": "Web"})
    assert proxy.ask("shop").app == "one"
    with socket.create_connection((IP, proxy.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.makefile("rb").readline().split()[1] == b"200"


@pytest.mark.parametrize("host", ["shop", "www.example.com", "nobody"])
def test_a_service_without_instances_answers_503(proxy: BuiltinBed, host: str) -> None:
    proxy.serve(vars={"default": "shop", "hosts.shop": "www.example.com"})
    answer = proxy.ask(host)
    assert (answer.status, answer.body) == (503, "No instance can take this request.\n")
    assert answer.headers["retry-after"] == "5"


def test_nothing_registered_is_a_configuration_too(proxy: BuiltinBed) -> None:
    proxy.serve()
    assert proxy.ask("web").status == 503


def test_instances_that_take_no_new_requests_get_none(
    proxy: BuiltinBed, one: EchoApp, two: EchoApp
) -> None:
    with EchoApp("three") as three:
        draining = record(two, state=State.DRAINING)
        proxy.serve(record(one), draining, record(three, weight=0))
        assert {proxy.ask("web").app for _ in range(20)} == {"one"}
        proxy.serve(draining, record(three, weight=0))
        assert proxy.ask("web").status == 503


def test_weights_are_respected(proxy: BuiltinBed, one: EchoApp, two: EchoApp) -> None:
    """By HAProxy's leastconn only while somebody is busy, which nobody is here."""
    balance = {"balance": "roundrobin"} if proxy.builtin is Builtin.HAPROXY else {}
    proxy.serve(record(one, weight=60000), record(two, weight=20000), vars=balance)
    answers = Counter(proxy.ask("web").app for _ in range(200))
    assert answers.total() == 200
    assert 2.4 < answers["one"] / answers["two"] < 3.6, answers


def test_the_app_learns_who_asked_for_what(proxy: BuiltinBed, one: EchoApp) -> None:
    proxy.serve(record(one))
    claim = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    got = proxy.ask("web.example.com:8080", headers=claim, path="/a%2Fb?c=%20d").got
    assert got["host"] == "web.example.com:8080"
    assert got["x-forwarded-proto"] == "http"
    assert one.seen[-1].path == "/a%2Fb?c=%20d"
    asked = proxy.ask("web")
    assert asked.got["x-forwarded-for"] == IP
    assert asked.got["host"] == "web"


def test_what_a_client_claims_of_its_address_comes_first(proxy: BuiltinBed, one: EchoApp) -> None:
    proxy.serve(record(one))
    with socket.create_connection((IP, proxy.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.0\r\nHost: web\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        while client.recv(4096):
            pass
    sent = one.seen[-1]
    assert ", ".join(sent.forwarded_for) == f"192.0.2.1, {IP}"


def test_ipv6_is_served(proxy: BuiltinBed) -> None:
    with EchoApp("six", ip="::1") as six:
        proxy.serve(record(six), vars={"listen": f"{IP}:{proxy.port}, [::1]:{proxy.port}"})
        assert proxy.ask("web").app == "six"
        with Client(proxy.port, "::1") as client:
            got = client.ask("web").got
        assert got["x-forwarded-for"] == "::1"


def test_a_port_alone_is_both_families(proxy: BuiltinBed, one: EchoApp) -> None:
    proxy.serve(record(one), vars={"listen": f":{proxy.port}"})
    for ip in (IP, "::1"):
        with Client(proxy.port, ip) as client:
            for _ in range(4):
                answer = client.ask("web")
                assert (answer.app, answer.got["x-forwarded-for"]) == ("one", ip)


def test_websockets_pass(proxy: BuiltinBed, one: EchoApp) -> None:
    proxy.serve(record(one))
    with socket.create_connection((IP, proxy.port), timeout=10) as client:
        client.sendall(
            b"GET /chat HTTP/1.1\r\nHost: web\r\nConnection: keep-alive, Upgrade\r\n"
            b"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        said = b""
        while b"\r\n\r\n" not in said:
            said += client.recv(4096)
        assert said.startswith(b"HTTP/1.1 101 ")
        for word in (b"hello", b"world"):
            client.sendall(word)
            assert client.recv(4096) == word


def test_no_other_upgrade_passes(proxy: BuiltinBed, one: EchoApp) -> None:
    proxy.serve(record(one))
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMA"}
    got = proxy.ask("web", headers=headers).got
    assert "upgrade" not in got


def test_statistics_are_there_when_asked_for(proxy: BuiltinBed, one: EchoApp) -> None:
    port = free_port()
    proxy.serve(record(one), vars={"stats": f"{IP}:{port}"})
    with Client(port) as client:
        answer = client.ask("any")
    assert answer.status == 200
    assert proxy.ask("web", path="/").app == "one"
