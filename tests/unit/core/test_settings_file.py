"""A TOML file becomes texts, each with the place where it stands; anything odd is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.errors import SettingsError
from secretary.core.settings_file import parse


def texts(content: str) -> dict[str, tuple[str, ...]]:
    return {name: found.texts for name, found in parse("F", content.encode()).top.items()}


def refusal(content: bytes) -> str:
    with pytest.raises(SettingsError) as caught:
        parse("/etc/s.toml", content)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("port = 8080", {"port": ("8080",)}),
        ('port = "8080"', {"port": ("8080",)}),
        ("interval = 0.5", {"interval": ("0.5",)}),
        ("probe-insecure = true", {"probe-insecure": ("true",)}),
        ("tag = []", {"tag": ()}),
        ('tag = ["a", "b"]', {"tag": ("a", "b")}),
        ('tag = "a, b"', {"tag": ("a", "b")}),
        ("expect-status = [200, '404-410']", {"expect-status": ("200", "404-410")}),
        ('etcd = ["http://a", "http://b"]', {"etcd": ("http://a", "http://b")}),
        ('meta = "a=b,c"', {"meta": ("a=b,c",)}),
        ('[meta]\nzone = "a"\nrack = "7"', {"meta": ("zone=a", "rack=7")}),
        ('[header]\nHost = "h"', {"header": ("Host: h",)}),
    ],
)
def test_toml_s_own_types_stand_for_texts(content: str, found: dict[str, tuple[str, ...]]) -> None:
    assert texts(content) == found


def test_each_text_knows_where_it_stands() -> None:
    file = parse("F", b'ttl = 9\n[[service]]\nport = 1\n[[service]]\nname = "b"')
    assert file.top["ttl"].where == "ttl in F"
    assert [table[key].where for table in file.services for key in table] == [
        "service[0].port in F",
        "service[1].name in F",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"intervall = 1",
            "intervall in /etc/s.toml: there is no such option; did you mean interval?",
        ),
        (
            b"[[service]]\ndrain_timout = 1",
            "service[0].drain_timout in /etc/s.toml: there is no such option;"
            " did you mean drain-timeout?",
        ),
        (b"[zzz]", "zzz in /etc/s.toml: there is no such option"),
        (b'config = "x"', "config in /etc/s.toml: there is no such option"),
        (
            b'[[service]]\netcd = "http://a"',
            "service[0].etcd in /etc/s.toml: belongs at the top of the file, outside [[service]]",
        ),
        (b"[service]", "service in /etc/s.toml: write each service as a table [[service]]"),
        (b"service = 1", "service in /etc/s.toml: write each service as a table [[service]]"),
        (
            b"port = true",
            "port in /etc/s.toml: got a boolean, wanted an integer or a string:"
            " a whole number from 1 to 65535",
        ),
        (
            b"port = [80]",
            "port in /etc/s.toml: got an array, wanted an integer or a string:"
            " a whole number from 1 to 65535",
        ),
        (
            b"ttl = 2026-01-01",
            "ttl in /etc/s.toml: got a date or time, wanted an integer or a float or a string:"
            " whole seconds from 2s to 24h, such as 30s or 2m",
        ),
        (b'[meta]\n"a=b" = "c"', "meta in /etc/s.toml: the key 'a=b' holds '='"),
        (b"port = \xff", "/etc/s.toml: not UTF-8 at byte 7"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_key(content: bytes, message: str) -> None:
    assert refusal(content) == message


@pytest.mark.parametrize("content", [b"port = ", b"a = 1\na = 2", b"a = " + b"[" * 100_000])
def test_what_is_not_toml_is_refused_without_a_traceback(content: bytes) -> None:
    assert refusal(content).startswith("/etc/s.toml: not TOML: ")


@given(st.one_of(st.binary(), st.text().map(str.encode), st.text("[]=\"'.#\n ab1").map(str.encode)))
def test_no_content_raises_anything_but_a_settings_error(content: bytes) -> None:
    said = ""
    try:
        parse("F", content)
    except SettingsError as error:
        said = str(error)
    assert said.isprintable()
