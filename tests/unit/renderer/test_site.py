"""The built-in templates' vars are understood or refused; no record takes a host of another's."""

import pytest

from secretary.core.errors import TemplateError
from secretary.core.settings import Builtin
from secretary.renderer.site import Routes, Site


def nginx(**given: str) -> Site:
    return Site.of(Builtin.NGINX, {name.replace("_", "-"): text for name, text in given.items()})


def routes(given: dict[str, str], *services: str) -> Routes:
    return Site.of(Builtin.HAPROXY, given).routes(services)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (":80", {"0.0.0.0:80": "", "[::]:80": ""}),
        ("8080", {"0.0.0.0:8080": "", "[::]:8080": ""}),
        ("*:80", {"0.0.0.0:80": "", "[::]:80": ""}),
        ("10.0.0.1:80, [::1]:81", {"10.0.0.1:80": "", "[::1]:81": ""}),
        ("127.0.0.1:443 ssl crt /a", {"127.0.0.1:443": "ssl crt /a"}),
        (
            "10.0.0.1:443 ssl alpn h2,http/1.1, 10.0.0.1:80",
            {"10.0.0.1:443": "ssl alpn h2,http/1.1", "10.0.0.1:80": ""},
        ),
    ],
)
def test_where_to_listen(text: str, addresses: dict[str, str]) -> None:
    assert nginx(listen=text).listen == addresses


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"listen": "web"}, "var listen: 'web' is not an address"),
        ({"listen": ":0"}, "var listen: ':0' is not an address"),
        ({"listen": ":80,"}, "var listen: '' is not an address"),
        ({"listen": "::1:80"}, "var listen: '::1:80' is not an address"),
        ({"liste": ":80"}, "var liste: not known; known are listen, default, stats,"),
        ({"stats": ":8404"}, "var stats: ':8404' is not an address that only this host reaches"),
        ({"stats": "10.0.0.1:8404"}, "var stats: '10.0.0.1:8404' is not an address that only"),
        ({"stats": "127.0.0.1:80"}, "var stats: port 80 is one of listen; take another"),
        ({"read-timeout": "5"}, "var read-timeout: '5' is not a time"),
        ({"default": "a b"}, "var default: 'a b' cannot be the name of a service"),
        ({"hosts.web": "a;b"}, "var hosts.web: 'a;b' is not the name of a host"),
        ({"hosts.we b": "a"}, "var hosts.we b: 'we b' cannot be the name of a service"),
        ({"check.web": "healthz"}, "var check.web: 'healthz' is not a path"),
        ({"monitor": "lives"}, "var monitor: 'lives' is not a path"),
        ({"balance": "source"}, "var balance: 'source'; write roundrobin or leastconn"),
    ],
)
def test_what_cannot_be_meant_names_the_var(given: dict[str, str], message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Site.of(Builtin.HAPROXY, given)
    assert str(caught.value).startswith(message)


def test_a_host_belongs_to_one_service() -> None:
    with pytest.raises(TemplateError, match="a host of web already"):
        routes({"hosts.web": "a.example", "hosts.api": "a.example"})


def test_services_answer_for_their_names_and_what_they_are_given() -> None:
    found = routes({"hosts.web": "www.example.com *.example.org", "default": "web"}, "web", "api")
    assert found.whole == {"web": "web", "api": "api", "www.example.com": "web"}
    assert found.ending == {"example.org": "web"}
    assert found.beginning == {"web": "web", "api": "api"}
    assert found.default == "web"


def test_no_record_takes_a_host_that_was_given_to_another_service() -> None:
    found = routes({"hosts.web": "shop"}, "shop", "web")
    assert found.whole["shop"] == "web"


def test_of_names_that_differ_in_capitals_only_the_small_one_stays() -> None:
    found = routes({}, "Web", "web", "WEB")
    assert found.names == ("web",)
    assert found.left_out == ("WEB", "Web")


def test_a_service_that_is_spoken_of_is_there_before_its_first_instance() -> None:
    assert routes({"default": "web", "check.api": "/h"}).names == ("api", "web")


def test_longer_hosts_come_before_those_they_end_in() -> None:
    found = routes({"hosts.a": "*.example.com", "hosts.b": "*.eu.example.com"})
    assert list(found.ending) == ["eu.example.com", "example.com"]
