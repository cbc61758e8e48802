"""A record is read back as it was written, and nothing else is ever read as one."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core import record
from secretary.core.errors import RecordError
from secretary.core.instance import Instance, State
from secretary.core.settings import KeyBy

KEY = "/services/web/10.0.0.5"

FIELDS: dict[str, Any] = {
    "host": "node-1",
    "ipv4_addr": "10.0.0.5",
    "port": 8080,
    "addr": "10.0.0.5:8080",
    "name": "web",
    "id": "0f3c",
    "weight": 100,
    "tags": ["blue"],
    "meta": {"zone": "a"},
    "state": "up",
    "since": "2026-11-21T02:00:00Z",
    "schema": 1,
}

names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", fullmatch=True)
ports = st.integers(1, 65535)
printable = st.text(max_size=256).filter(str.isprintable)


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    address = draw(
        st.ip_addresses().filter(lambda ip: not ip.is_unspecified and not ip.is_multicast)
    )
    port = draw(ports)
    fields = {
        "host": draw(names),
        f"ipv{address.version}_addr": str(address),
        "port": port,
        "addr": f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}",
        "name": draw(names),
        "id": draw(names),
        "weight": draw(st.integers(0, 65535)),
        "tags": draw(st.lists(names, max_size=4)),
        "meta": draw(st.dictionaries(names, printable, max_size=4)),
        "state": draw(st.sampled_from(State)).value,
        "since": datetime(2026, 11, 21, tzinfo=UTC),
        "schema": 1,
    }
    return msgspec.convert(fields, Instance)


def encoded(**changed: Any) -> bytes:
    return json.dumps({**FIELDS, **changed}).encode()


def without(field: str) -> bytes:
    return json.dumps({key: value for key, value in FIELDS.items() if key != field}).encode()


def test_the_fields_stand_in_the_order_of_the_contract() -> None:
    instance = record.decode(KEY, encoded())
    assert record.encode(instance) == json.dumps(FIELDS, separators=(",", ":")).encode()


@given(instances(), st.sampled_from(KeyBy))
def test_what_is_written_is_read_back(instance: Instance, key_by: KeyBy) -> None:
    assert record.decode(instance.key("/services", key_by), record.encode(instance)) == instance


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_a_record_error(value: bytes) -> None:
    try:
        record.decode(KEY, value)
    except RecordError as error:
        reason = str(error)
    else:
        reason = "none"
    assert reason
    assert "\n" not in reason


def test_unknown_keys_are_ignored() -> None:
    assert record.decode(KEY, encoded(colour="mauve", nested={"a": [1]})).name == "web"


@pytest.mark.parametrize("field", ["host", "ipv4_addr", "port", "addr", "name", "id", "schema"])
def test_a_missing_required_field_makes_it_invalid(field: str) -> None:
    with pytest.raises(RecordError):
        record.decode(KEY, without(field))


@pytest.mark.parametrize(
    "changed",
    [
        {"port": 0},
        {"port": 65536},
        {"port": "8080"},
        {"port": True},
        {"ipv4_addr": "10.0.0.05"},
        {"ipv4_addr": "10.0.0.5; evil"},
        {"ipv4_addr": "0.0.0.0", "addr": "0.0.0.0:8080"},
        {"ipv6_addr": "fd00::1"},
        {"addr": "10.0.0.6:8080"},
        {"addr": "10.0.0.5:8081"},
        {"name": "web;"},
        {"name": "web\n"},
        {"name": "-web"},
        {"name": "w" * 64},
        {"host": "node 1"},
        {"host": "node\n"},
        {"tags": ["a b"]},
        {"tags": ["blue\n"]},
        {"tags": "blue"},
        {"meta": {"zone": "a\n"}},
        {"meta": {"zo ne": "a"}},
        {"meta": {"zone": "a" * 257}},
        {"meta": {"zone": 1}},
        {"weight": -1},
        {"weight": 1.5},
        {"state": "down"},
        {"since": "2026-11-21T02:00:00"},
        {"since": "yesterday"},
        {"schema": 0},
    ],
    ids=str,
)
def test_a_wrong_value_makes_it_invalid(changed: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        record.decode(KEY, encoded(**changed))


@pytest.mark.parametrize(
    "key",
    ["/services/api/10.0.0.5", "/services/web/10.0.0.6", "/services/web/10.0.0.5:9", "web"],
)
def test_a_key_that_does_not_agree_makes_it_invalid(key: str) -> None:
    with pytest.raises(RecordError):
        record.decode(key, encoded())


def test_a_zone_is_refused_because_it_means_nothing_elsewhere() -> None:
    value = encoded(ipv6_addr="fe80::1%eth0", addr="[fe80::1%eth0]:8080")
    with pytest.raises(RecordError):
        record.decode("/services/web/fe80::1%eth0", value.replace(b'"ipv4_addr"', b'"_"'))


def test_eight_kibibytes_are_the_most_that_is_written_and_read() -> None:
    meta = {f"k{i}": "v" * 256 for i in range(40)}
    with pytest.raises(RecordError, match="at most 8192"):
        record.encode(msgspec.convert({**FIELDS, "meta": meta}, Instance))
    with pytest.raises(RecordError, match="at most 8192"):
        record.decode(KEY, encoded(meta=meta))


def test_nesting_without_end_is_a_record_error() -> None:
    with pytest.raises(RecordError):
        record.decode(KEY, b'{"x":' + b"[" * 8000)


@pytest.mark.parametrize(
    ("value", "endpoint"),
    [
        (encoded(), "10.0.0.5:8080"),
        (b'{"host":"n","ipv4_addr":"10.0.0.5","port":"80"}', "10.0.0.5:80"),
        (b'{"ipv6_addr":"fd00::1","port":80}', "[fd00::1]:80"),
        (b'{"ipv4_addr":"10.0.0.5"}', None),
        (b'{"ipv4_addr":null,"port":80}', None),
        (b"[1]", None),
        (b"\xff", None),
        (b"[" * 8000, None),
        (b"", None),
    ],
)
def test_an_endpoint_is_told_from_whatever_speaks_of_one(
    value: bytes, endpoint: str | None
) -> None:
    assert record.endpoint_of(value) == endpoint


@given(st.binary(max_size=200))
def test_any_bytes_have_an_endpoint_or_none(value: bytes) -> None:
    endpoint = record.endpoint_of(value)
    assert endpoint is None or ":" in endpoint
