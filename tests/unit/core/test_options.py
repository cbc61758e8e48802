"""The one table of options is complete, and agrees with the settings it stands for."""

import pytest

from secretary.core.option import Option
from secretary.core.options import BY_NAME, OPTIONS
from secretary.core.resolve import resolve
from secretary.core.settings import RunSettings, ServiceSettings


def test_the_defaults_of_the_options_are_the_defaults_of_the_settings() -> None:
    settings = resolve({"name": ("web",), "port": ("8080",)}, {}, None).settings
    assert settings == RunSettings(services=(ServiceSettings(name="web", port=8080),))


def test_the_defaults_of_a_probe_are_the_defaults_of_its_settings() -> None:
    flags = {"name": ("web",), "port": ("8080",), "probe": ("http://app/",)}
    probe = resolve(flags, {}, None).settings.services[0].probe
    assert probe is not None
    assert probe == type(probe)(target="http://app/")


def test_no_two_options_share_a_name() -> None:
    assert len(BY_NAME) == len(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_says_what_it_means_and_what_it_allows(option: Option) -> None:
    assert option.help.endswith(".")
    assert option.kind.allowed
    assert not option.kind.allowed.endswith(".")
    assert option.verbs


def test_a_variable_is_named_after_its_option() -> None:
    assert BY_NAME["etcd-password-file"].variable == "SECRETARY_ETCD_PASSWORD_FILE"
