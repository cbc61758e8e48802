"""`secretary host` and `run --container`: what is refused before anything is touched."""

import pytest

from secretary.core.errors import SettingsError
from secretary.core.resolve import Flags, resolve
from secretary.core.resolve_host import resolve_host
from secretary.core.settings_file import parse


def refusal(flags: Flags, content: bytes = b"", environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        resolve_host(flags, environ or {}, parse("F", content))
    return str(caught.value)


def test_a_wrong_value_is_refused_before_any_container_is_seen() -> None:
    assert refusal({"rise": ("0",)}).startswith("--rise: got '0'")
    assert refusal({}, b"ttl = 1").startswith("ttl in F: got '1'")
    assert "longer than the interval" in refusal({"timeout": ("5s",), "interval": ("1s",)})
    with pytest.raises(SettingsError, match=r"^--rise: got '0'"):
        resolve({"container": ("web-1",), "rise": ("0",)}, {}, None)
    with pytest.raises(SettingsError, match=r"^--container: got 'a b', allowed: the name or id"):
        resolve({"container": ("a b",)}, {}, None)


def test_a_name_in_the_environment_is_no_name_for_all_containers() -> None:
    environ = {"SECRETARY_NAME": "web", "SECRETARY_PORT": "8080", "SECRETARY_RISE": "4"}
    (rules,) = resolve_host({}, environ, None).settings.containers
    given = {name for layer in rules.below for name in layer}
    assert "rise" in given
    assert not given & {"name", "port", "container"}


def test_tables_of_services_belong_to_run() -> None:
    assert "secretary run takes tables" in refusal({}, b'[[service]]\nname = "a"\nport = 1\n')


def test_a_container_stands_beside_fixed_services_in_one_file() -> None:
    toml = b'[[service]]\nname = "a"\nport = 1\n[[service]]\ncontainer = "web-1"\nrise = 4\n'
    settings = resolve({}, {}, parse("F", toml)).settings
    assert [service.name for service in settings.services] == ["a"]
    assert [rules.ref for rules in settings.containers] == ["web-1"]
    assert settings.containers[0].own == {"container", "rise"}


def test_docker_as_a_probe_needs_a_container() -> None:
    flags = {"name": ("web",), "port": ("1",), "probe": ("docker",)}
    with pytest.raises(SettingsError, match=r"^--probe: docker is for a --container only"):
        resolve(flags, {}, None)


def test_several_tables_leave_no_place_for_a_container_as_a_flag() -> None:
    toml = b'[[service]]\ncontainer = "a"\n[[service]]\ncontainer = "b"\n'
    with pytest.raises(SettingsError, match=r"^--container: speaks of one service"):
        resolve({"container": ("c",)}, {}, parse("F", toml))
