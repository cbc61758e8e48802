"""A container's labels and what was said beside them: who wins, and what is refused."""

from typing import Any

import pytest

from secretary.core.container import Container, NetworkMode
from secretary.core.errors import AddressError, SettingsError
from secretary.core.resolve import resolve
from secretary.core.resolve_container import services
from secretary.core.resolve_host import resolve_host
from secretary.core.settings import ContainerRules, HostPort, KeyBy, ServiceSettings
from secretary.core.settings_file import parse
from tests.unit.core.containers import container, published

PUBLISHED: dict[str, Any] = {"published": (published(8080, 32768),)}


def sidecar(
    flags: dict[str, tuple[str, ...]] | None = None,
    content: bytes = b"",
    environ: dict[str, str] | None = None,
) -> ContainerRules:
    flags = {"container": ("web-1",)} | (flags or {})
    return resolve(flags, environ or {}, parse("F", content)).settings.containers[0]


def host(flags: dict[str, tuple[str, ...]] | None = None, content: bytes = b"") -> ContainerRules:
    return resolve_host(flags or {}, {}, parse("F", content)).settings.containers[0]


def found(of: Container, rules: ContainerRules) -> list[ServiceSettings]:
    return [settings for settings, _ in services(of, rules, lambda _: "10.0.0.5")]


def refusal(of: Container, rules: ContainerRules) -> str:
    with pytest.raises(SettingsError) as caught:
        found(of, rules)
    return str(caught.value)


def test_a_sidecar_takes_all_from_the_labels() -> None:
    said = {"secretary.name": "web", "secretary.probe": "/up", "secretary.interval": "5s"}
    (settings,) = found(container(said), sidecar())
    assert (settings.name, settings.ip, settings.port) == ("web", "172.17.0.2", 8080)
    assert settings.probe is not None
    assert settings.probe.target == "/up"
    assert settings.probe_at == HostPort("172.17.0.2", 8080)
    assert (settings.rhythm.interval_s, settings.key_by) == (5, KeyBy.IP)


def test_a_container_that_has_just_begun_has_some_grace() -> None:
    """It does not listen yet, and is asked at the fast interval until it does."""
    of = container({"secretary.name": "web"}, **PUBLISHED)
    for rules in (sidecar(), host()):
        assert found(of, rules)[0].rhythm.grace_s == 5
    assert found(of, sidecar({"grace": ("0s",)}))[0].rhythm.grace_s == 0
    assert found(of, sidecar(content=b"grace = 7"))[0].rhythm.grace_s == 7


def test_a_flag_wins_over_a_label_and_a_label_over_the_top_of_the_file() -> None:
    of = container({"secretary.name": "web", "secretary.weight": "5", "secretary.ttl": "5s"})
    rules = sidecar({"weight": ("7",)}, b"ttl = 9\nrise = 4")
    (settings,) = found(of, rules)
    assert (settings.weight, settings.ttl_s, settings.rhythm.rise) == (7, 5, 4)
    (settings,) = found(of, sidecar(environ={"SECRETARY_WEIGHT": "8"}))
    assert settings.weight == 8


def test_of_a_host_a_label_wins_over_a_flag() -> None:
    """The flag speaks of all containers, the label of this one."""
    of = container({"secretary.name": "web", "secretary.weight": "5"}, **PUBLISHED)
    (settings,) = found(of, host({"weight": ("7",), "rise": ("4",)}))
    assert (settings.weight, settings.rhythm.rise) == (5, 4)
    assert (settings.ip, settings.port, settings.key_by) == ("10.0.0.5", 32768, KeyBy.IP_PORT)
    assert settings.probe_at == HostPort("172.17.0.2", 8080)


def test_a_sidecar_needs_no_label_when_it_is_told_the_name() -> None:
    (settings,) = found(container(), sidecar({"name": ("web",)}))
    assert (settings.name, settings.port) == ("web", 8080)
    assert "has no label secretary.name, and there is no --name" in refusal(container(), sidecar())


def test_a_name_for_one_service_does_not_go_with_labels_of_several() -> None:
    of = container({"secretary.name": "a", "secretary.x.name": "b", "secretary.x.port": "9"})
    assert [s.name for s in found(of, sidecar())] == ["a", "b"]
    assert "--port: speaks of one service" in refusal(of, sidecar({"port": ("1",)}))


def test_a_host_has_no_service_of_what_has_no_label() -> None:
    assert found(container(**PUBLISHED), host()) == []
    assert "no label secretary.name" in refusal(container({"secretary.port": "8080"}), host())


def test_a_host_understands_registrator_and_with_auto_takes_every_published_port() -> None:
    said = container({"SERVICE_NAME": "web"}, **PUBLISHED)
    assert [s.name for s in found(said, host())] == ["web"]
    assert [s.name for s in found(container(**PUBLISHED), host({"auto": ("true",)}))] == ["shop"]
    both = container({"SERVICE_NAME": "web", "secretary.name": "own"}, **PUBLISHED)
    assert [s.name for s in found(both, host())] == ["own"], "our own labels are the whole word"


def test_what_registrator_published_is_published_at_the_host_also_by_default_of_the_port() -> None:
    of = container(environ={"SERVICE_8080_NAME": "web"}, **PUBLISHED)
    assert found(of, host())[0].port == 32768


@pytest.mark.parametrize("label", ["secretary.probe", "SERVICE_CHECK_HTTP"])
@pytest.mark.parametrize("target", ["exec:touch /x", "http://192.0.2.1/", "tcp://db:5432"])
def test_a_container_names_no_command_and_no_other_host(label: str, target: str) -> None:
    """Whoever may start a container may not run commands beside the agent, nor send it about."""
    name = "secretary.name" if label.startswith("secretary") else "SERVICE_NAME"
    said = refusal(container({name: "web", label: target}, **PUBLISHED), host())
    assert said.startswith(f"container web-1: label {label}: got '")
    assert "allowed: /path, http://:port/path" in said
    assert "/x" not in said, "a command's arguments are not shown"


def test_a_command_given_to_the_sidecar_itself_is_fine() -> None:
    (settings,) = found(container({"secretary.name": "web"}), sidecar({"probe": ("exec:true",)}))
    assert settings.probe is not None
    assert settings.probe.target == "exec:true"


@pytest.mark.parametrize(
    ("label", "text", "said"),
    [
        ("secretary.port", "x", "container web-1: label secretary.port: got 'x', allowed: a whole"),
        ("secretary.rise", "0", "container web-1: label secretary.rise: got '0', allowed:"),
        ("secretary.tags", "a,a", "container web-1: label secretary.tags: got 'a,a' (a value is"),
        ("secretary.meta.zone", "\x1b", "container web-1: label secretary.meta.*: got"),
        ("secretary.name", "a b", "container web-1: label secretary.name: got 'a b', allowed:"),
        ("secretary.advertise", "both", "container web-1: label secretary.advertise: got 'both'"),
        ("secretary.method", "HEAD", "secretary.method: is for http:// and https:// probes only"),
        ("secretary.probe", "docker", "container web-1 has no HEALTHCHECK"),
        ("secretary.interval", "10ms", "secretary.interval: got '10ms', allowed by a label: 250ms"),
    ],
)
def test_a_label_that_does_not_parse_is_named_with_its_container(
    label: str, text: str, said: str
) -> None:
    assert said in refusal(container({"secretary.name": "web", label: text}, **PUBLISHED), host())


def test_a_container_cannot_take_all_threads_of_the_agent() -> None:
    """Ten thousand services of one container would starve those of all others."""
    labels = {f"secretary.x{number}.name": "web" for number in range(33)}
    assert "has 33 services, allowed: up to 32" in refusal(container(labels), host())
    ports = {"published": tuple(published(port, port) for port in range(8000, 8033))}
    said = container({"SERVICE_NAME": "web"}, **ports)
    assert "has 33 services" in refusal(said, host())


def test_a_health_check_can_be_the_probe() -> None:
    of = container({"secretary.name": "web", "secretary.probe": "docker"}, has_health_check=True)
    (settings,) = found(of, sidecar())
    assert settings.probe is not None
    assert settings.probe.target == "docker"


def test_a_flag_that_all_share_need_not_fit_each_container() -> None:
    of = container({"secretary.name": "web"}, **PUBLISHED)
    (settings,) = found(of, host({"expect-status": ("200",)}))
    assert settings.probe is None


def test_an_address_goes_with_the_hosts_only() -> None:
    of = container({"secretary.name": "web"}, **PUBLISHED)
    assert "the address is the container's" in refusal(of, sidecar({"ip": ("10.0.0.9",)}))
    rules = sidecar({"ip": ("10.0.0.9",), "advertise": ("host",)})
    assert found(of, rules)[0].ip == "10.0.0.5"


def test_trouble_with_the_hosts_address_is_told_apart() -> None:
    def nowhere(_: str) -> str:
        raise AddressError("no route")

    of = container({"secretary.name": "web"}, network_mode=NetworkMode.HOST, networks={})
    with pytest.raises(AddressError):
        services(of, host(), nowhere)
