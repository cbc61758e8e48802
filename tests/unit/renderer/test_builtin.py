"""The built-in templates tell a proxy what the records say, and nothing that they only claim."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.errors import SettingsError
from secretary.core.instance import Instance, State
from secretary.core.settings import Builtin
from tests.rendered import render
from tests.unit.renderer.records import instance

BOTH = pytest.mark.parametrize("builtin", Builtin, ids=lambda builtin: builtin.value)
INSTANCES = st.lists(
    st.builds(
        instance,
        name=st.sampled_from(["web", "api", "Shop"]),
        ip=st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::5"]),
        port=st.integers(1, 65535),
        weight=st.integers(0, 65535),
        state=st.sampled_from(State),
    ),
    max_size=8,
)


def servers(text: str) -> list[str]:
    """The lines about instances, without what is the same in each."""
    found = re.findall(r"^    server (.*?)(?: check .*| max_fails.*)?$", text, re.MULTILINE)
    return [str(line) for line in found]


def test_haproxys_servers_are_named_like_their_addresses_and_weigh_at_most_256() -> None:
    text = render(
        Builtin.HAPROXY,
        instance(ip="10.0.0.1", weight=60000),
        instance(ip="10.0.0.2", weight=1),
        instance(ip="10.0.0.3", weight=0),
        instance(ip="10.0.0.4", weight=30000, state=State.DRAINING),
        instance(ip="2001:db8::5", port=8080, weight=30000),
        instance("api", "10.0.0.1", port=81, weight=200),
    )
    assert servers(text) == [
        "10.0.0.1:81 10.0.0.1:81 weight 200",
        "10.0.0.1:80 10.0.0.1:80 weight 256",
        "10.0.0.2:80 10.0.0.2:80 weight 1",
        "10.0.0.3:80 10.0.0.3:80 weight 0",
        "10.0.0.4:80 10.0.0.4:80 weight 0",
        "2001:db8::5:8080 [2001:db8::5]:8080 weight 128",
    ]


def test_nginxs_upstreams_hold_those_that_take_new_requests() -> None:
    text = render(
        Builtin.NGINX,
        instance(ip="10.0.0.1", weight=60000),
        instance(ip="10.0.0.3", weight=0),
        instance(ip="10.0.0.4", state=State.DRAINING),
        instance(ip="2001:db8::5", port=8080, weight=1),
        instance("gone", "10.0.0.9", state=State.DRAINING),
    )
    assert servers(text) == ["10.0.0.1:80 weight=60000", "[2001:db8::5]:8080 weight=1"]
    assert "    # 10.0.0.4:80 takes no new requests.\n" in text
    assert re.findall(r"^upstream (\S+)", text, re.MULTILINE) == ["secretary-web"]
    assert "10.0.0.9" not in text


@given(INSTANCES, INSTANCES)
def test_only_lines_of_servers_depend_on_haproxys_instances(
    some: list[Instance], others: list[Instance]
) -> None:
    def structure(records: list[Instance]) -> list[str]:
        text = render(Builtin.HAPROXY, *records, known=("web", "api", "Shop"))
        return [line for line in text.splitlines() if not line.startswith("    server ")]

    assert structure(some) == structure(others)


@BOTH
def test_nothing_is_told_of_an_instance_but_where_it_is_and_what_it_can_take(
    builtin: Builtin,
) -> None:
    claims: dict[str, Any] = {
        "host": "evil.example.com",
        "id": "evil-id",
        "tags": ("evil-tag",),
        "meta": {"evil": 'x"; } server { listen 1; } #'},
    }
    assert render(builtin, instance(**claims)) == render(builtin, instance())


def routes(text: str) -> dict[str, str]:
    """Services by the host that they answer for, as either proxy is told."""
    nginx = re.findall(r"^    ([a-z*][\S]*) secretary-(\S+);$", text, re.MULTILINE)
    haproxy = re.findall(r"^    use_backend (\S+) if .* -m (?:str|beg|end) (\S+) }$", text, re.M)
    return dict(nginx) | {host: service for service, host in haproxy}


@BOTH
def test_a_record_chooses_no_host_but_its_services_name(builtin: Builtin) -> None:
    records = instance("web"), instance("api"), instance("a..b")
    found = routes(render(builtin, *records, vars={"hosts.web": "api"}))
    ends = ".*" if builtin is Builtin.NGINX else "."
    assert found == {"web": "web", "api": "web", f"web{ends}": "web", f"api{ends}": "api"}


@BOTH
def test_a_service_that_differs_from_another_in_capitals_only_is_left_out_and_said_so(
    builtin: Builtin,
) -> None:
    text = render(builtin, instance("WEB", "10.0.0.9"), instance("web"))
    assert "# The service WEB is left out: " in text
    assert "10.0.0.9" not in text
    assert "10.0.0.9" in render(builtin, instance("WEB", "10.0.0.9"))


@BOTH
def test_a_wrong_var_is_one_clear_message(builtin: Builtin) -> None:
    with pytest.raises(SettingsError) as caught:
        render(builtin, vars={"stats": "0.0.0.0:8404"})
    assert "var stats: '0.0.0.0:8404' is not an address that only this host" in str(caught.value)


def test_haproxys_admin_socket_and_user_are_there_when_asked_for() -> None:
    bare = render(Builtin.HAPROXY)
    assert not re.search(r"^\s*(stats|user|group|chroot|daemon)\b", bare, re.MULTILINE)
    text = render(Builtin.HAPROXY, vars={"runtime": "/run/a.sock", "user": "www-data"})
    assert "    stats socket /run/a.sock mode 600 level admin\n" in text
    assert "    user www-data\n    group www-data\n" in text


def test_statistics_have_no_password_that_everybody_knows() -> None:
    text = render(Builtin.HAPROXY, vars={"stats": "127.0.0.1:8404"})
    assert "auth" not in text
    assert "    bind 127.0.0.1:8404\n" in text


@BOTH
def test_what_it_makes_ends_lines_and_has_no_stray_blanks(builtin: Builtin) -> None:
    text = render(
        builtin,
        instance(),
        instance("Web"),
        instance("gone", state=State.DRAINING),
        vars={"stats": "127.0.0.1:8404", "default": "web"},
        known=("empty",),
    )
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)
    assert text.startswith("# Made by secretary")
