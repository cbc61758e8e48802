"""An app host answers the balancers, refuses all others, and logs whom it has answered for whom."""

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import RemoteDisconnected
from typing import Final

import pytest
from msgspec import UNSET

from secretary.core import record
from secretary.core.instance import Instance, State
from tests.etcd_bed import Etcdctl
from tests.system.app_host_bed import LOG, Asked, ask, settle_app_host, site
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.system.units_bed import AppUnit, settle, settle_apps, settle_etcd
from tests.waiting import stays, wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

PORT: Final = 8080
ECHO: Final = 8081
SIX: Final = 8086
CLIENT: Final = "203.0.113.7"
CLIENT_SIX: Final = "2001:db8::7"
ALLOWED: Final = "/var/lib/secretary/proxy/balancers.allow"
ECHOES: Final = """\
server {
    listen 127.0.0.1:%d;
    return 200 "$http_host|$http_x_real_ip|$http_x_forwarded_for";
}
"""
"""In place of an app: what it was sent."""


@dataclass(frozen=True, slots=True)
class Balancers:
    """Addresses of this host, of which some are those of balancers, and the records of these."""

    one: str
    two: str
    three: str
    six: str
    outsider: str
    etcdctl: Etcdctl

    def register(self, ip: str) -> int:
        """Write its record, as its secretary would; return the lease."""
        lease = self.etcdctl.grant(600)
        is_six = ":" in ip
        instance = Instance(
            host="lb", name="balancers", port=80, id=ip.replace(":", "-"), weight=100,
            ipv4_addr=UNSET if is_six else ip, ipv6_addr=ip if is_six else UNSET,
            addr=f"[{ip}]:80" if is_six else f"{ip}:80", state=State.UP,
            since=datetime(2026, 11, 21, 2, tzinfo=UTC), schema=record.SCHEMA,
        )  # fmt: skip
        self.etcdctl.put(f"/services/balancers/{ip}", record.encode(instance), lease)
        return lease


@dataclass(frozen=True, slots=True)
class AppHost:
    node: Node
    six: str

    def ask(self, by: str, *forwarded_for: str, port: int = PORT, path: str = "/") -> Asked:
        host = self.six if ":" in by else self.node.ip
        return ask(host, port, by=by, path=path, forwarded_for=forwarded_for)

    def lets_in(self, by: str) -> None:
        """Wait until it does, for the list follows the directory."""
        port = SIX if ":" in by else PORT
        wait_for(lambda: self.ask(by, port=port).status == 200, what=f"{by} was let in")

    def renders(self, *stale: str) -> None:
        """Wait until its renderer is done, and keeps the balancers of `stale` by its floor."""

        def is_done() -> bool:
            told = self.node("curl", "-sf", "http://127.0.0.1:9181/readyz", check=False)
            said = self.node("curl", "-s", "http://127.0.0.1:9181/status", check=False).stdout
            known = json.loads(said or "{}").get("services", {}).get("balancers", {})
            return told.returncode == 0 and known.get("stale") == [f"{ip}:80" for ip in stale]

        wait_for(is_done, timeout_s=20, what=f"the renderer kept {stale}")

    def last(self, words: str) -> str:
        """Return the last line of its log, once that has `words`."""

        def line() -> str:
            found = (self.node.disk / LOG.removeprefix("/")).read_text().splitlines()[-1:]
            return next((line for line in found if words in line), "")

        return wait_for(line, what=f"the last line logged held {words}")


def mapped(ip: str) -> str:
    """Return an IPv6 address that goes with an IPv4 address."""
    return f"fd00:5ec::{int(ipaddress.ip_address(ip)) & 0xFF:x}"


@pytest.fixture(scope="module")
def etcdctl(app_host: AppHost) -> Etcdctl:
    return Etcdctl([f"http://{app_host.node.ip}:2379"])


@pytest.fixture(scope="module")
def app_host(nodes: NodeBed) -> AppHost:
    """A host with etcd, an app and its secretary, and no balancer that it knows."""
    node = nodes.make("apps")
    (url,) = settle_etcd(node)
    settle(node, url)
    settle_apps(node)
    settle_app_host(node, PORT, ECHO)
    six = mapped(node.ip)
    node.write(f"/etc/nginx/sites-enabled/app-{SIX}.conf", site(six, SIX))
    for port in (ECHO, SIX):
        node.write(f"/etc/nginx/sites-enabled/echo-{port}.conf", ECHOES % port)
    address = f"[Address]\nAddress={six}/64\nDuplicateAddressDetection=none\n"
    node.write("/etc/systemd/network/10-host0.network.d/six.conf", address)
    nodes.boot(node)
    node.systemctl("enable", "--now", "etcd", "nginx", "secretary-render")
    return AppHost(node, six)


@pytest.fixture(scope="module")
def balancers(nodes: NodeBed, app_host: AppHost, etcdctl: Etcdctl) -> Balancers:
    """Three of them, and one with an IPv6 address; none has a record yet."""
    addresses = [str(nodes.bridge.network[number]) for number in (2, 3, 4, 5)]
    six = mapped(addresses[0])
    for address, size in (*((each, 24) for each in addresses), (six, 64)):
        once = ("nodad",) if ":" in address else ()
        command = ("ip", "address", "add", f"{address}/{size}", "dev", nodes.bridge.name, *once)
        subprocess.run(command, check=True)
    return Balancers(addresses[0], addresses[1], addresses[2], six, addresses[3], etcdctl)


def test_nginx_starts_before_any_balancer_is_known_and_refuses_everybody(
    app_host: AppHost, balancers: Balancers
) -> None:
    app_host.node("nginx", "-t", "-q")
    wait_for(lambda: app_host.node.active("nginx", "secretary-render"))
    for by in (balancers.one, balancers.outsider):
        assert app_host.ask(by).status == 403


def test_systemd_finds_no_fault_with_the_drop_ins(app_host: AppHost) -> None:
    for unit in ("nginx.service", f"app-secretary@{PORT}.service"):
        assert "/etc/systemd/system" in app_host.node.show(unit, "DropInPaths")
        said = app_host.node("systemd-analyze", "verify", "--man=no", unit, check=False)
        assert (said.returncode, said.stdout + said.stderr) == (0, ""), unit


def test_the_app_is_registered_at_the_private_address_through_nginx(
    app_host: AppHost, etcdctl: Etcdctl
) -> None:
    """Its secretary is let in to ask for its health, and nowhere else."""
    app = AppUnit(app_host.node, PORT)
    app.start(etcdctl)
    local = f"http://{app_host.node.ip}:{PORT}"
    assert app_host.node("curl", "-s", f"{local}/healthz").stdout.strip() == app.name
    refused = app_host.node("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{local}/")
    assert refused.stdout == "403"
    listening = app_host.node("ss", "-Hltn", f"sport = :{PORT}").stdout
    assert sorted(line.split()[3] for line in listening.splitlines()) == sorted(
        [f"127.0.0.1:{PORT}", f"{app_host.node.ip}:{PORT}"]
    )


def test_a_balancer_is_let_in_as_soon_as_it_is_registered_and_nobody_else(
    app_host: AppHost, balancers: Balancers
) -> None:
    for by in (balancers.one, balancers.two):
        balancers.register(by)
        app_host.lets_in(by)
    assert app_host.ask(balancers.one).body == f"apps:{PORT}"
    for by in (balancers.three, balancers.outsider):
        for path in ("/", "/healthz", "/any?thing"):
            assert app_host.ask(by, path=path).status == 403


def test_the_log_names_the_balancer_and_the_client(app_host: AppHost, balancers: Balancers) -> None:
    """The client is who the balancer says it is: the last one, whatever stands before it."""
    for forwarded_for, client in (
        ((CLIENT,), CLIENT),
        (("198.51.100.1", CLIENT), CLIENT),
        ((f"198.51.100.1, {CLIENT}",), CLIENT),
        (("nonsense", CLIENT_SIX), CLIENT_SIX),
        ((), "-"),
    ):
        assert app_host.ask(balancers.one, *forwarded_for, path="/load?1").status == 200
        line = app_host.last(f"client {client} [")
        assert line.startswith(f"proxy {balancers.one} client {client} [")
        assert '"GET /load?1 HTTP/1.1" 200 ' in line
        app_host.ask(balancers.outsider)  # so that the next last line is the next one's
        app_host.last(f"proxy {balancers.outsider} ")


def test_what_is_refused_is_logged_and_not_believed(
    app_host: AppHost, balancers: Balancers
) -> None:
    for path in ("/", "/healthz"):
        refused = app_host.ask(balancers.outsider, CLIENT, path=path)
        assert refused.status == 403
        line = app_host.last(f'"GET {path} ')
        assert line.startswith(f"proxy {balancers.outsider} client - [")
        assert " 403 " in line


def test_the_app_is_told_the_client_and_the_host_that_was_asked_for(
    app_host: AppHost, balancers: Balancers
) -> None:
    told = app_host.ask(balancers.one, "198.51.100.1", CLIENT, port=ECHO).body
    assert told == f"{app_host.node.ip}:{ECHO}|{CLIENT}|198.51.100.1, {CLIENT}"


def test_an_app_that_is_gone_gives_no_answer_so_that_the_balancer_asks_another(
    app_host: AppHost, balancers: Balancers
) -> None:
    app = AppUnit(app_host.node, PORT)
    app_host.node.systemctl("stop", app.app)
    for path in ("/", "/healthz"):
        with pytest.raises(RemoteDisconnected):
            app_host.ask(balancers.one, path=path)
        assert app_host.ask(balancers.outsider, path=path).status == 403
    app_host.node.systemctl("start", app.app)
    app.registered(balancers.etcdctl)
    assert app_host.ask(balancers.one).status == 200


def test_a_balancer_whose_record_is_gone_is_let_in_all_the_same(
    app_host: AppHost, balancers: Balancers
) -> None:
    """The pair as it was last known is a floor, also to a renderer that starts anew."""
    balancers.etcdctl.revoke(balancers.register(balancers.two))
    app_host.renders(balancers.two)
    assert app_host.ask(balancers.two).status == 200
    app_host.node.systemctl("restart", "secretary-render")
    app_host.renders(balancers.two)
    stays(lambda: app_host.ask(balancers.two).status == 200, for_s=1)
    balancers.register(balancers.two)


def test_an_outage_of_etcd_takes_nobody_off_the_list(
    app_host: AppHost, balancers: Balancers
) -> None:
    """Not even a reboot while nobody can be asked does."""
    node = app_host.node
    node.systemctl("stop", "etcd")
    node.systemctl("restart", "secretary-render", "nginx")
    for by in (balancers.one, balancers.two):
        app_host.lets_in(by)
    assert app_host.ask(balancers.outsider).status == 403
    node.systemctl("start", "etcd")


def test_the_list_follows_a_balancer_that_is_replaced(
    app_host: AppHost, balancers: Balancers
) -> None:
    gone = balancers.register(balancers.two)
    balancers.register(balancers.three)
    app_host.lets_in(balancers.three)
    balancers.etcdctl.revoke(gone)
    wait_for(lambda: app_host.ask(balancers.two).status == 403, what="the old one was refused")
    for by in (balancers.one, balancers.three):
        assert app_host.ask(by).status == 200


def test_what_changes_while_nginx_is_stopped_counts_when_it_starts(
    app_host: AppHost, balancers: Balancers
) -> None:
    """And is no failure: a secretary that stops need not wait for this renderer."""
    app_host.renders()  # a stop within a reload is one that the renderer has to wait for
    app_host.node.systemctl("stop", "nginx")
    balancers.register(balancers.two)
    listed = app_host.node.disk / ALLOWED.removeprefix("/")
    wait_for(lambda: f"allow {balancers.two};" in listed.read_text())
    app_host.renders()
    app_host.node.systemctl("start", "nginx")
    assert app_host.ask(balancers.two).status == 200


def test_ipv6_works_alike(app_host: AppHost, balancers: Balancers) -> None:
    assert app_host.ask(balancers.six, port=SIX).status == 403
    balancers.register(balancers.six)
    app_host.lets_in(balancers.six)
    told = app_host.ask(balancers.six, CLIENT_SIX, port=SIX).body
    assert told == f"[{app_host.six}]:{SIX}|{CLIENT_SIX}|{CLIENT_SIX}"
    assert app_host.last(f"client {CLIENT_SIX} [").startswith(f"proxy {balancers.six} ")


def test_a_host_that_boots_serves_by_its_list_before_it_hears_of_etcd(
    app_host: AppHost, balancers: Balancers
) -> None:
    """Its secretary begins after nginx, and so leaves before it."""
    app_host.node.systemctl("disable", "etcd")
    app_host.node.reboot()
    wait_for(lambda: app_host.node.active("nginx"))
    app_host.lets_in(balancers.one)
    assert app_host.ask(balancers.outsider).status == 403
    app_host.node.systemctl("enable", "--now", "etcd")
    app = AppUnit(app_host.node, PORT)
    app.registered(balancers.etcdctl)
    assert "nginx.service" in app_host.node.show(app.secretary, "After").split()
