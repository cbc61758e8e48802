"""The files in deploy/confd make configurations that real proxies take, and nothing else."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from secretary.core import record
from secretary.core.instance import Instance, State
from tests import gotemplate
from tests.apps import free_port
from tests.system.echo_app import IP, Client, EchoApp
from tests.system.haproxy_bed import HaproxyBed
from tests.system.nginx_bed import NginxBed
from tests.unit.renderer.records import instance

CONFD = Path(__file__).parents[2] / "deploy" / "confd"
RESOURCES = sorted((CONFD / "conf.d").iterdir())
KEYS = {"src", "dest", "mode", "owner", "group", "keys", "prefix", "check_cmd", "reload_cmd"}
"""What confd's documentation knows in a resource."""
HOSTILE = "80; } server { listen 1; }\n\tbackend x\r\"'\\ $(id) `id` #%[x]{}"
KIND = pytest.mark.parametrize("kind", ["nginx", "haproxy"])


def keyed(*records: Instance) -> dict[str, str]:
    """Values by key, as they stand in etcd."""
    return {f"/services/{each.name}/{each.ip}": record.encode(each).decode() for each in records}


def render(kind: str, records: Mapping[str, str]) -> str:
    resource = CONFD / "conf.d" / f"{kind}.toml"
    source = tomllib.loads(resource.read_text())["template"]["src"]
    return gotemplate.render((CONFD / "templates" / source).read_text(), records)


class Front:
    """One of the proxies, with what confd would make of these records, on ports of a test."""

    def __init__(self, kind: str, directory: Path, records: Mapping[str, str]) -> None:
        self._port = free_port()
        ports = {"80": str(self._port), "8503": str(free_port())}
        text = re.sub(
            r"((?:listen|bind) (?:\S+:)?|server 127.0.0.1:)(80|8503)\b",
            lambda match: match[1] + ports[match[2]],
            render(kind, records),
        )
        self._bed: HaproxyBed | NginxBed = (
            NginxBed(directory, services=text) if kind == "nginx" else HaproxyBed(directory, text)
        )

    def __enter__(self) -> "Front":
        self._bed.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._bed.__exit__(*failure)

    def ask(self, host: str) -> Any:
        with Client(self._port) as client:
            return client.ask(host)


@pytest.fixture
def one() -> Iterator[EchoApp]:
    with EchoApp("one") as app:
        yield app


@pytest.fixture
def two() -> Iterator[EchoApp]:
    with EchoApp("two") as app:
        yield app


@pytest.mark.parametrize("file", RESOURCES, ids=lambda file: file.name)
def test_a_resource_says_what_confd_wants_to_know(file: Path) -> None:
    (table, resource), *more = tomllib.loads(file.read_text()).items()
    assert (table, more) == ("template", [])
    assert resource.keys() <= KEYS
    assert {"src", "dest", "keys", "check_cmd", "reload_cmd"} <= resource.keys()
    assert (CONFD / "templates" / resource["src"]).is_file()
    assert resource["keys"] == ["/services"]
    assert "{{.src}}" in resource["check_cmd"]


@pytest.mark.parametrize("file", RESOURCES, ids=lambda file: file.name)
def test_a_resources_check_takes_what_is_right_and_refuses_what_is_not(
    file: Path, tmp_path: Path
) -> None:
    command = tomllib.loads(file.read_text())["template"]["check_cmd"]
    staged = tmp_path / ".services1"
    shell = command.replace("{{.src}}", str(staged)).replace("/run/", f"{tmp_path}/")

    def check() -> int:
        path = f"PATH=$PATH:/usr/sbin; {shell}"
        return subprocess.run(
            ["/bin/sh", "-c", path], capture_output=True, timeout=60, check=False
        ).returncode

    staged.write_text(render(file.stem, keyed(instance())))
    assert check() == 0
    staged.write_text("evil on;\n")
    assert check() != 0


@KIND
def test_requests_go_where_the_records_say(
    kind: str, one: EchoApp, two: EchoApp, tmp_path: Path
) -> None:
    records = keyed(
        instance("web", one.ip, one.port),
        instance("web", "127.0.0.2", two.port, state=State.DRAINING),
        instance("web", "127.0.0.3", two.port, weight=0),
        instance("web.api", two.ip, two.port, weight=60000),
        instance("default", one.ip, one.port),
        instance("z" * 63, two.ip, two.port),
        instance("gone", "127.0.0.4", state=State.DRAINING),
        instance("six", "2001:db8::5"),
    )
    records["/services/old/10.0.0.9"] = '{"host": "a", "ipv4_addr": "10.0.0.9", "port": 80}'
    with Front(kind, tmp_path, records) as front:
        for host, app in {
            "web": "one",
            "WEB.example.com:81": "one",
            "web.api": "two",
            "web.api.example.com": "two",
            "default": "one",
            f"{'z' * 63}.example.com": "two",
        }.items():
            assert {front.ask(host).app for _ in range(3)} == {app}, host
        for host, told in {
            "nobody": "No service answers for this host.\n",
            "gone": "No instance can take this request.\n",
            "old": "No instance can take this request.\n",
        }.items():
            answer = front.ask(host)
            assert (answer.status, answer.body) == (503, told), host
            assert answer.headers["retry-after"] == "5"
        got = front.ask("web").got
        assert (got["x-forwarded-for"], got["host"]) == (IP, "web")


@KIND
def test_an_empty_directory_is_a_configuration_too(kind: str, tmp_path: Path) -> None:
    with Front(kind, tmp_path, {}) as front:
        assert front.ask("web").status == 503


def test_haproxys_weights_end_at_256() -> None:
    text = render("haproxy", keyed(instance(weight=65535), instance(ip="2001:db8::5", weight=7)))
    found = re.findall(r"^    server (\S+ \S+ weight \d+) check ", text, re.MULTILINE)
    assert found == [
        "10.0.0.1:80 10.0.0.1:80 weight 256",
        "2001:db8::5:80 [2001:db8::5]:80 weight 7",
    ]


@KIND
@pytest.mark.parametrize("field", ["addr", "weight", "state", "schema"])
def test_a_hostile_record_adds_no_line(kind: str, field: str) -> None:
    good = '{"addr": "10.0.0.1:80", "weight": 1, "state": "up", "schema": 1}'
    fields = json.loads(good) | {field: HOSTILE}
    lines = render(kind, {"/services/web/1": good}).splitlines()
    try:
        hostile = render(kind, {"/services/web/1": json.dumps(fields)}).splitlines()
    except gotemplate.GoTemplateError:
        return  # confd says so and leaves the file as it is
    without = [line for line in hostile if "server 10." not in line and "%0A" not in line]
    assert set(without) <= set(lines)
    assert len(hostile) <= len(lines)


@KIND
def test_a_hostile_name_adds_no_line(kind: str) -> None:
    good = '{"addr": "10.0.0.1:80", "weight": 1, "state": "up", "schema": 1}'
    lines = render(kind, {"/services/web/1": good}).splitlines()
    hostile = render(kind, {"/services/w;} evil on;\n/1": good}).splitlines()
    assert len(hostile) == len(lines)


@pytest.mark.parametrize(
    ("value", "message"),
    [("no JSON", "error calling json"), ("[1]", "not an object"), ("{", "error calling json")],
)
def test_a_value_that_is_no_record_changes_nothing(value: str, message: str) -> None:
    with pytest.raises(gotemplate.GoTemplateError, match=message):
        render("nginx", {"/services/web/10.0.0.1": value})
