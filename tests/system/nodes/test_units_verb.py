"""`secretary units install` on a real systemd: what was typed runs, and nothing is edited."""

import base64
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.etcd_bed import ROOT_PASSWORD, WEB_PASSWORD, Etcdctl, enable_auth
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.waiting import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

SECRETARY = "/opt/secretary/bin/secretary"
SERVER = (
    "import sys; from http.server import *;"
    "HTTPServer(('', int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()"
)
APP = ("/usr/bin/python3", "-c", SERVER)
AWKWARD = (
    "a b",
    "",
    ";",
    "%i %% $HOME ${HOME} $$",
    'it\'s "so"',
    "back\\slash\\",
    "tab\tnew\nline",
    "é\u2028\x85\ufeff",
    "".join(map(chr, range(1, 128))),
)
"""What a shell, systemd or both would make something else of."""
ETCD = """\
ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379
ETCD_ADVERTISE_CLIENT_URLS=http://127.0.0.1:2379
"""


@pytest.fixture(scope="module")
def host(nodes: NodeBed) -> Node:
    """A host with etcd."""
    host = nodes.make("host")
    host.write("/etc/secretary/etcd.env", ETCD)
    nodes.boot(host)
    host.systemctl("start", "etcd")
    return host


@pytest.fixture
def url(host: Node) -> str:
    return f"http://{host.ip}:2379"


def install(host: Node, name: str, port: int, *arguments: str) -> None:
    """Write the units as somebody would who has read README, and let systemd judge them."""
    said = host(SECRETARY, "units", "install", name, "--port", str(port), *arguments).stdout
    units = [line.partition(":")[0] for line in said.splitlines() if ".service: " in line]
    assert units
    judged = host("systemd-analyze", "verify", *units)
    assert judged.stdout + judged.stderr == ""
    *_, reload, begin = said.splitlines()
    for command in (reload, begin):
        host(*command.split())


def record(etcd: Etcdctl, key: str) -> dict[str, Any]:
    """Wait for the record under a key."""
    seen = wait_for(lambda: etcd.get(key), what=f"{key} is there")
    found: dict[str, Any] = json.loads(seen.value)
    return found


def process(host: Node, unit: str) -> tuple[list[str], dict[str, str]]:
    """The words with which a unit's process was called, and its environment."""
    pid = host.show(unit, "MainPID")

    def told(name: str) -> list[str]:
        content = host("base64", "--wrap=0", f"/proc/{pid}/{name}").stdout
        return base64.b64decode(content).decode().split("\0")[:-1]

    return told("cmdline"), dict(each.split("=", 1) for each in told("environ"))


def test_a_command_is_a_service_with_a_record_in_three_commands(host: Node, url: str) -> None:
    command = shlex.join([*APP, "{port}", *AWKWARD])
    awkward = " ".join(AWKWARD[:6])
    typed = (
        *("--etcd", url, "--probe", "/", "--meta", f"one={awkward}", "--meta", "two=a,b"),
        *("--header", f"X-A: {awkward}", "--expect-body", "(?s)" + "|".join([".*", "\t\n \\x7f"])),
    )
    install(host, "shop", 8080, "--exec", command, *typed)
    found = record(Etcdctl([url]), f"/services/shop/{host.ip}:8080")
    assert found["meta"] == {"one": awkward, "two": "a,b"}
    words, environ = process(host, "shop@8080")
    assert words == [*APP, "8080", *AWKWARD]
    assert environ["PORT"] == "8080"
    assert environ["USER"] == "shop"
    _, environ = process(host, "shop-secretary@8080")
    assert environ["SECRETARY_HEADER"] == f"X-A: {awkward}"
    assert environ["SECRETARY_EXPECT_BODY"] == "(?s).*|\t\n \\x7f"
    host.systemctl("enable", "--now", "shop@8081")
    assert record(Etcdctl([url]), f"/services/shop/{host.ip}:8081")["port"] == 8081
    host.systemctl("disable", "--now", "shop@8080", "shop@8081")
    assert Etcdctl([url]).get(f"/services/shop/{host.ip}:8080") is None


def test_a_unit_that_is_there_brings_its_secretary_from_then_on(host: Node, url: str) -> None:
    command = shlex.join([*APP, "8090"])
    host.write("/etc/systemd/system/old.service", f"[Service]\nExecStart={command}\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", "old")
    key = f"/services/old/{host.ip}:8090"
    install(host, "old", 8090, "--unit", "old.service", "--etcd", url)
    assert record(Etcdctl([url]), key)["port"] == 8090
    host.systemctl("stop", "old")
    assert Etcdctl([url]).get(key) is None
    assert not host.active("old-secretary")
    host.systemctl("start", "old")
    assert record(Etcdctl([url]), key)["port"] == 8090
    host.systemctl("stop", "old")


def test_an_instance_that_is_there_has_a_secretary_of_its_own(host: Node, url: str) -> None:
    command = shlex.join([*APP, "%i"])
    host.write("/etc/systemd/system/very-old@.service", f"[Service]\nExecStart={command}\n")
    for port in (8091, 8092):
        unit = f"very-old@{port}.service"
        host.systemctl("daemon-reload")
        host.systemctl("start", unit)
        install(host, "old", port, "--unit", unit, "--etcd", url)
    for port in (8091, 8092):
        assert record(Etcdctl([url]), f"/services/old/{host.ip}:{port}")["port"] == port
    host.systemctl("stop", "very-old@8091", "very-old@8092")


@pytest.fixture
def guarded(host: Node, url: str) -> Iterator[Etcdctl]:
    """etcd, which lets nobody in who has no password."""
    enable_auth(Etcdctl([url]), "/services")
    etcd = Etcdctl([url], user=("root", ROOT_PASSWORD))
    yield etcd
    etcd("auth", "disable")


def test_a_password_that_root_alone_may_read_is_handed_in(
    host: Node, url: str, guarded: Etcdctl
) -> None:
    """The settings file is read where it is, so that a reload takes it up."""
    host.write("/etc/secretary/50% secret", WEB_PASSWORD, mode=0o600)
    host.write("/etc/secretary/web.toml", "weight = 5\n")
    install(
        *(host, "web", 8070, "--exec", shlex.join([*APP, "{port}"]), "--etcd", url),
        *("--etcd-user", "web", "--etcd-password-file", "/etc/secretary/50% secret"),
        *("--config", "/etc/secretary/web.toml"),
    )
    key = f"/services/web/{host.ip}:8070"
    assert record(guarded, key)["weight"] == 5
    host.write("/etc/secretary/web.toml", "weight = 7\n")
    host.systemctl("reload", "web-secretary@8070")
    wait_for(lambda: record(guarded, key)["weight"] == 7)
    host.systemctl("disable", "--now", "web@8070")
    assert guarded.get(key) is None


def test_an_app_in_docker_has_units_that_systemd_takes(host: Node) -> None:
    """Its container is another test's."""
    host("mkdir", "/etc/units")
    said = host(
        *(SECRETARY, "units", "install", "boxed", "--port", "80", "--image", "example/boxed:1.4"),
        *("--container-port", "8080", "--probe", "/healthz", "--ttl", "5", "--dir", "/etc/units"),
    )
    assert said.stdout.endswith("    systemctl enable --now boxed@80\n")
    units = ("/etc/units/boxed@.service", "/etc/units/boxed-secretary@.service")
    judged = host("systemd-analyze", "verify", *units)
    assert judged.stdout + judged.stderr == ""


def test_whoever_may_write_there_needs_no_root(host: Node) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SECRETARY)
    verb = (*nobody, "units", "install", "shop", "--port", "80", "--image", "x")
    host("install", "--directory", "--owner=65534", "/srv/units")
    host(*verb, "--dir", "/srv/units")
    refused = host(*verb, "--dir", "/srv", check=False)
    assert refused.returncode == 1
    assert refused.stderr == (
        "secretary: /srv/shop@.service cannot be written: Permission denied\n"
    )
    assert host("ls", "/srv").stdout.split() == ["units"]
