"""Each kind of value takes what it says it takes, and refuses everything else in one way."""

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.addresses import ETCD_URL, IP, SERVER_NAME, STATUS_ADDRESS
from secretary.core.options import OPTIONS
from secretary.core.settings import HostPort, StatusRange
from secretary.core.target import TARGET
from secretary.core.values import (
    HEADER,
    META,
    METHOD,
    NAME,
    PORT,
    PREFIX,
    REGEX,
    STATUS,
    SWITCH,
    Kind,
    duration,
    printable,
)

INTERVAL = duration("10ms", "24h")
TTL = duration("2s", "24h", whole=True)
KINDS = {option.name: option.kind for option in OPTIONS}
PORTS = st.integers(1, 65535)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (INTERVAL, "30s", 30.0),
        (INTERVAL, "500ms", 0.5),
        (INTERVAL, "2m", 120.0),
        (INTERVAL, "1.5h", 5400.0),
        (INTERVAL, "3", 3.0),
        (TTL, "2m", 120),
        (TTL, "2000ms", 2),
        (NAME, "Web-1.a_b", "Web-1.a_b"),
        (PORT, "65535", 65535),
        (STATUS, "200-399", StatusRange(200, 399)),
        (STATUS, "404", StatusRange(404, 404)),
        (METHOD, "head", "HEAD"),
        (HEADER, "Host: example.org", ("Host", "example.org")),
        (HEADER, "X-Empty:", ("X-Empty", "")),
        (META, "zone=a=b", ("zone", "a=b")),
        (META, "zone=", ("zone", "")),
        (PREFIX, "/a/b-c", "/a/b-c"),
        (PREFIX, "/secretary-2", "/secretary-2"),
        (SWITCH, "Yes", True),
        (SWITCH, "off", False),
        (ETCD_URL, "http://10.0.0.1", (False, HostPort("10.0.0.1", 2379))),
        (ETCD_URL, "https://e_1.local:1/", (True, HostPort("e_1.local", 1))),
        (ETCD_URL, "http://[FD00::0:1]:2379", (False, HostPort("fd00::1", 2379))),
        (STATUS_ADDRESS, "[::1]:9180", HostPort("::1", 9180)),
        (STATUS_ADDRESS, "off", None),
        (TARGET, "http://app/healthz?a=b", "http://app/healthz?a=b"),
        (TARGET, "tcp://app:5432", "tcp://app:5432"),
        (TARGET, "exec:check --name 'a b'", "exec:check --name 'a b'"),
        (IP, "auto", "auto"),
        (IP, "iface:eth0", "iface:eth0"),
        (IP, "10.0.0.0/8", "10.0.0.0/8"),
        (IP, "FD00::0:1", "fd00::1"),
        (SERVER_NAME, "app.internal", "app.internal"),
    ],
)
def test_a_text_is_read_as_its_value(kind: Kind, text: str, value: object) -> None:
    found = kind.read(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((INTERVAL, text) for text in ("", "s", "-1s", "1 s", "1d", "nan", "1e3", "9ms", "25h")),
        *((INTERVAL, text) for text in ("1s\n", "٣s", "1.s", ".5s")),
        *((TTL, text) for text in ("1s", "2500ms", "24.001h")),
        *((NAME, text) for text in ("", "-a", "a-", "a b", "a\n", "a/b", "a" * 64)),
        *((PORT, text) for text in ("0", "65536", "-1", "80.0", "٨", "http", " 80")),
        *((STATUS, text) for text in ("99", "600", "399-200", "200-", "2xx")),
        *((METHOD, text) for text in ("", "CONNECT", "GET\n")),
        *((HEADER, text) for text in ("", "Host", ": a", "Ho st: a", "A: b\r\nC: d", "A: é")),
        *((META, text) for text in ("", "zone", "=a", "a b=c", "a=\x1b", "a=" + "b" * 257)),
        *((REGEX, text) for text in ("(", "*", "(?P<a", "a{9999999999999}")),
        *((PREFIX, text) for text in ("", "/", "a", "/a/", "//a", "/a//b", "/a b", "/a\n")),
        *((PREFIX, text) for text in ("/secretary", "/secretary/drain")),
        *((ETCD_URL, text) for text in ("", "10.0.0.1:2379", "http://", "ftp://a", "http://a:0")),
        *((ETCD_URL, text) for text in ("http://a/b", "http://a?b", "http://a#b", "http://a:")),
        *((ETCD_URL, text) for text in ("http://u@a", "http://a:65536", "http://[::1]x:1")),
        *((STATUS_ADDRESS, text) for text in ("", "9180", ":9180", "a:", "a:65536", "::1:9180")),
        *((STATUS_ADDRESS, text) for text in ("1.2.3:80", "[::1%eth0]:80", "[a]:80", "a b:80")),
        *((TARGET, text) for text in ("", "app", "tcp://app", "tcp://app:1/x", "udp://a:1")),
        *((TARGET, text) for text in ("http://u:p@app/", "http://app/#a", "http://a /", "http:/a")),
        *((TARGET, text) for text in ("exec:", "exec: ", "exec:'a", "exec:a\0", "exec:''")),
        *((IP, text) for text in ("", "0.0.0.0", "::", "224.0.0.1", "fe80::1%eth0", "10.0.0.1/8")),
        *((IP, text) for text in ("iface:", "iface:a/b", "iface:" + "a" * 16, "localhost", "10")),
    ],
)
def test_anything_else_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a reader owes no words
        kind.read(text)


@pytest.mark.filterwarnings("ignore:Possible (nested set|set .*) at:FutureWarning")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@given(text=st.one_of(st.text(), st.text(string.printable), st.from_regex(r"[a-z]+:/{0,2}.*")))
def test_no_text_makes_a_reader_raise_anything_but_valueerror(kind: Kind, text: str) -> None:
    with contextlib.suppress(ValueError):
        kind.read(text)


@given(text=st.text())
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_shown_fits_on_one_line_of_a_terminal(kind: Kind, text: str) -> None:
    assert kind.show(text).isprintable()


@given(st.text())
def test_printable_text_is_left_as_it_is_and_the_rest_is_escaped(text: str) -> None:
    assert printable(text).isprintable()
    assert (printable(text) == text) == text.isprintable()


@given(milliseconds=st.integers(10, 86_400_000))
def test_a_time_in_milliseconds_loses_nothing(milliseconds: int) -> None:
    assert INTERVAL.read(f"{milliseconds}ms") == milliseconds / 1000


@given(
    host=st.one_of(
        st.ip_addresses(v=4).map(str),
        st.ip_addresses(v=6).map(str),
        st.from_regex(r"[a-z]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True),
    ),
    port=PORTS,
)
def test_a_host_and_port_survive_being_written_and_read(host: str, port: int) -> None:
    place = HostPort(host, port)
    assert STATUS_ADDRESS.read(str(place)) == place
    assert ETCD_URL.read(f"http://{place}") == (False, place)
    assert TARGET.read(f"tcp://{place}") == f"tcp://{place}"


@given(low=st.integers(100, 599), more=st.integers(0, 499))
def test_a_range_of_statuses_survives_being_written_and_read(low: int, more: int) -> None:
    high = min(599, low + more)
    assert STATUS.read(f"{low}-{high}") == StatusRange(low, high)


@given(
    key=st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", fullmatch=True),
    value=st.text(max_size=256).filter(str.isprintable),
)
def test_meta_survives_being_written_and_read(key: str, value: str) -> None:
    assert META.read(f"{key}={value}") == (key, value)


@given(st.ip_addresses().filter(lambda ip: not (ip.is_unspecified or ip.is_multicast)))
def test_every_address_of_a_host_can_be_published(ip: object) -> None:
    assert IP.read(str(ip)) == str(ip)


@given(st.from_regex(r"[a-z0-9/?#:.]{8,20}", fullmatch=True))
def test_a_password_in_a_url_is_refused_and_not_shown(password: str) -> None:
    text = f"http://user:{password}@host:2379"
    for kind in (ETCD_URL, TARGET):
        assert password not in kind.show(text)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the words are looked at below
        ETCD_URL.read(text)
    assert password not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        (TARGET, "http://app:8080/healthz", "http://app:8080/healthz"),
        (TARGET, "http://app/healthz?token=geheim", "http://app/healthz…"),
        (TARGET, "exec:/usr/bin/check --password geheim", "exec:/usr/bin/check…"),
        (ETCD_URL, "http://[fd00::1]:99999", "http://[fd00::1]:99999"),
        (HEADER, "Authorization: Bearer geheim", "Authorization: …"),
        (HEADER, "geheim", "…"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(kind: Kind, text: str, shown: str) -> None:
    assert kind.show(text) == shown
