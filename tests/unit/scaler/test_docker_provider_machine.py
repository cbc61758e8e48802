"""A container as a machine: what Docker is to make, and what it tells."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from secretary.core import labels
from secretary.core.errors import SettingsError
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler.ports import Standing
from secretary.scaler.providers.docker_machine import Listed, body, check, seen
from tests.unit.core.containers import container


def group(**what: Any) -> ScaleGroup:
    rest = {key: what.pop(key) for key in ("port", "probe", "register") if key in what}
    machine = MachineSettings(image="app:1", **what)
    return ScaleGroup(
        name="web", service="shop", provider=ProviderName.DOCKER, machine=machine, **rest
    )


def listed(**what: Any) -> Listed:
    told = {
        "Id": "a" * 64, "Names": ["/web-1"], "Image": "app:1", "Created": 1700000000,
        "State": "running", "Status": "Up 2 seconds",
    } | what  # fmt: skip
    return msgspec.convert(told, Listed)


@pytest.mark.parametrize(
    ("size", "limits"),
    [
        ("", {}),
        ("0.5", {"NanoCpus": 500_000_000}),
        ("0.29", {"NanoCpus": 290_000_000}),
        ("2:256m", {"NanoCpus": 2_000_000_000, "Memory": 256 << 20}),
        (":1g", {"Memory": 1 << 30}),
        ("1:65536k", {"NanoCpus": 1_000_000_000, "Memory": 64 << 20}),
        ("1:8388608", {"NanoCpus": 1_000_000_000, "Memory": 8 << 20}),
    ],
)
def test_a_size_is_cores_and_memory(size: str, limits: dict[str, int]) -> None:
    check(group(size=size))
    made = body(group(size=size), None)["HostConfig"]
    restart = {"RestartPolicy": {"Name": "unless-stopped"}}
    assert made == limits | {"NetworkMode": "bridge"} | restart


@pytest.mark.parametrize("size", ["0", "1:0m", ":", "1:", "x", "-1", "1:256mb", "1e3", "s-1vcpu\n"])
def test_a_size_that_is_none_is_said(size: str) -> None:
    with pytest.raises(SettingsError, match=r"^group web: size: is .*such as 0\.5, 1:256m or :1g$"):
        check(group(size=size))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"region": "fra1"}, "region: Docker has none"),
        ({"ssh_keys": ("me",)}, "ssh_keys: Docker has none"),
        ({"network": "host"}, "network: is 'host'"),
        ({"network": "none"}, "network: is 'none'"),
        ({"network": "container:db"}, "network: is 'container:db'"),
        ({"probe": "http://other/"}, "probe: is 'http://other/'"),
    ],
)
def test_what_docker_has_no_use_for_is_said(what: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=f"^group web: {said}"):
        check(group(**what))


def test_the_hosts_agent_registers_the_machine_by_its_labels() -> None:
    asked = group(port=8000, probe="/health", network="front", tags=("blue", "team=shop"))
    made = body(asked, None)["Labels"]
    assert made == {
        "secretary-web": "", "blue": "", "team": "shop",
        "secretary.name": "shop", "secretary.port": "8000", "secretary.probe": "/health",
        "secretary.advertise": "container", "secretary.network": "front",
    }  # fmt: skip
    found = container(made, networks={"front": "172.20.0.2"})
    (layer,) = labels.services(found)
    assert set(layer) == {"name", "port", "probe", "advertise", "network"}


def test_a_machine_that_is_registered_from_outside_says_nothing_to_the_hosts_agent() -> None:
    made = body(group(port=8000, register=True), None)["Labels"]
    assert made == {"secretary-web": ""}


def test_a_users_tag_does_not_win_over_ours() -> None:
    made = body(group(tags=("secretary.name=other", "secretary-web=no")), None)["Labels"]
    assert (made["secretary.name"], made["secretary-web"]) == ("shop", "")


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        ("created", Standing.BOOTING),
        ("restarting", Standing.BOOTING),
        ("running", Standing.ACTIVE),
        ("paused", Standing.ACTIVE),
        ("exited", Standing.BROKEN),
        ("dead", Standing.BROKEN),
        ("removing", Standing.BROKEN),
        ("unheard-of", Standing.BROKEN),
    ],
)
def test_dockers_states_are_standings(state: str, standing: Standing) -> None:
    machine = seen(listed(State=state, Status="Exited (137) 3 seconds ago"), "")
    assert (machine.standing, machine.detail) == (standing, "Exited (137) 3 seconds ago")


def test_a_machine_is_told_as_the_list_has_it() -> None:
    machine = seen(listed(Names=["/proxy/web", "/web-1"]), "")
    assert (machine.name, machine.provider_id, machine.cost_class) == ("web-1", "a" * 64, "app:1")
    assert machine.created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("networks", "network", "address"),
    [
        ({"bridge": {"IPAddress": "172.17.0.2"}}, "", "172.17.0.2"),
        ({"bridge": {"IPAddress": "172.17.0.2"}, "front": {"IPAddress": "10.1.0.2"}}, "front",
         "10.1.0.2"),
        ({"front": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"}}, "front", "fd00::2"),
        ({"bridge": {"IPAddress": ""}}, "", None),
        ({"bridge": {"IPAddress": "172.17.0.2"}}, "front", None),
        ({"bridge": None}, "", None),
        (None, "", None),
    ],
)  # fmt: skip
def test_the_address_is_that_on_the_groups_network(
    networks: Any, network: str, address: str | None
) -> None:
    assert seen(listed(NetworkSettings={"Networks": networks}), network).address == address
