"""What a probe may ask, and where a target without a host leads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.settings import HostPort
from secretary.core.target import TARGET, located, names_no_other

AT = HostPort("10.0.0.5", 8080)
AT_V6 = HostPort("fd00::5", 8080)


@pytest.mark.parametrize(
    ("target", "whole"),
    [
        ("/healthz", "http://10.0.0.5:8080/healthz"),
        ("/healthz?deep=1", "http://10.0.0.5:8080/healthz?deep=1"),
        ("http://:9090/up", "http://10.0.0.5:9090/up"),
        ("https://:8443/up", "https://10.0.0.5:8443/up"),
        ("tcp://:9090", "tcp://10.0.0.5:9090"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
        ("tcp://db:5432", "tcp://db:5432"),
        ("exec:true", "exec:true"),
        ("docker", "docker"),
    ],
)
def test_a_target_without_a_host_leads_to_the_app(target: str, whole: str) -> None:
    assert TARGET.read(target) == target
    assert located(target, AT) == whole


def test_an_address_of_ipv6_gets_its_brackets() -> None:
    assert located("/x", AT_V6) == "http://[fd00::5]:8080/x"
    assert located("tcp://:1", AT_V6) == "tcp://[fd00::5]:1"


@pytest.mark.parametrize(
    "target",
    ["", "healthz", "http:///x", "tcp://:", "tcp://", "http://:x/", "docker:", "/a b", "/a#b",
     "tcp://:99999", "http://:80@evil/x", "ftp://:21/x", "/a\n"],
)  # fmt: skip
def test_what_leads_nowhere_is_refused(target: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - most of them say no more than that
        TARGET.read(target)


@pytest.mark.parametrize("target", ["exec:true", "http://evil/x", "tcp://10.0.0.9:1", "docker2"])
def test_a_target_elsewhere_is_told_from_one_of_the_app(target: str) -> None:
    assert not names_no_other(target)


@given(st.text())
def test_whatever_is_taken_for_the_apps_own_leads_to_the_app(text: str) -> None:
    for target in (text, f"/{text}", f"http://:8080{text}", f"tcp://:{text}"):
        try:
            TARGET.read(target)
        except ValueError:
            continue
        if names_no_other(target) and target != "docker":
            _, _, rest = located(target, AT).partition("://")
            assert rest.startswith("10.0.0.5:")
            assert "@" not in rest.partition("/")[0]


def test_a_query_may_be_a_secret_and_is_not_shown() -> None:
    assert "token" not in TARGET.show("/up?token=x")
    assert TARGET.show("/up") == "/up"
