"""What is wrong with a group or the variables is found before OpenStack is asked anything."""

import sys
from pathlib import Path
from typing import Any

import pytest

from secretary.core.errors import CloudRefused, SettingsError
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler.providers.openstack import open_openstack

ENVIRON = {
    "OS_AUTH_URL": "http://127.0.0.1:9/v3",
    "OS_USERNAME": "scaler",
    "OS_PASSWORD": "secret",
    "OS_PROJECT_NAME": "lab",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
}
CLOUDS = """
clouds:
  lab:
    auth: {auth_url: "http://127.0.0.1:9/v3", username: scaler, project_name: lab,
           user_domain_name: Default, project_domain_name: Default}
"""


def group(name: str = "web", **machine: Any) -> ScaleGroup:
    return ScaleGroup(
        name=name,
        service="web",
        provider=ProviderName.OPENSTACK,
        machine=MachineSettings(**{"image": "golden", "size": "m1.tiny", **machine}),
    )


def test_opening_asks_nothing() -> None:
    open_openstack(group(), ENVIRON).close()


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"size": ""}, "group web: size: is missing"),
        ({"ssh_keys": ("a", "b")}, "group web: ssh_keys: OpenStack takes one key pair"),
        ({"tags": ("a,b",)}, "group web: tags: a,b: "),
        ({"tags": ("a/b",)}, "group web: tags: a/b: "),
        ({"tags": ("a" * 61,)}, "takes 1 to 60 characters"),
    ],
)
def test_a_group_that_will_not_do_is_refused(machine: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        open_openstack(group(**machine), ENVIRON)


def test_a_group_whose_name_does_not_fit_into_a_tag_is_refused() -> None:
    with pytest.raises(SettingsError, match=f"tags: secretary-{'a' * 51}"):
        open_openstack(group("a" * 51), ENVIRON)


@pytest.mark.parametrize("missing", ["OS_AUTH_URL", "OS_PASSWORD"])
def test_variables_that_lead_nowhere_are_refused(missing: str) -> None:
    environ = {name: value for name, value in ENVIRON.items() if name != missing}
    with pytest.raises(SettingsError, match="set OS_CLOUD and have it in") as raised:
        open_openstack(group(), environ)
    assert "secret;" not in str(raised.value)


def test_no_variables_at_all_are_refused(tmp_path: Path) -> None:
    environ = {"OS_CLIENT_CONFIG_FILE": str(tmp_path / "none.yaml")}
    with pytest.raises(SettingsError, match="OS_AUTH_URL"):
        open_openstack(group(), environ)


def test_a_password_is_given_once(tmp_path: Path) -> None:
    environ = {**ENVIRON, "OS_PASSWORD_FILE": str(tmp_path / "password")}
    with pytest.raises(SettingsError, match="set one of the two"):
        open_openstack(group(), environ)


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "password"
    environ = {**ENVIRON, "OS_PASSWORD": "", "OS_PASSWORD_FILE": str(path)}
    with pytest.raises(SettingsError, match=f"OS_PASSWORD_FILE: {path}: No such file"):
        open_openstack(group(), environ)


def test_a_cloud_is_found_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    (tmp_path / "password").write_text("secret\n")
    environ = {
        "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml"),
        "OS_CLOUD": "lab",
        "OS_PASSWORD_FILE": str(tmp_path / "password"),
    }
    open_openstack(group(), environ).close()
    with pytest.raises(SettingsError, match="elsewhere"):
        open_openstack(group(), {**environ, "OS_CLOUD": "elsewhere"})


def test_the_variables_are_those_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError):
        open_openstack(group(), {"OS_CLIENT_CONFIG_FILE": "/nowhere"})


def test_a_missing_library_is_said_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "secretary.scaler.providers.openstack_door", raising=False)
    monkeypatch.setitem(sys.modules, "keystoneauth1", None)
    with pytest.raises(CloudRefused, match=r"pip install 'secretary\[cloud\]'"):
        open_openstack(group(), ENVIRON)
