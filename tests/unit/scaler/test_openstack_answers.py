"""What Nova tells of a server, and what is made of it."""

from typing import Any

import msgspec
import pytest

from secretary.core.errors import CloudAway
from secretary.scaler.ports import Standing
from secretary.scaler.providers.openstack_answers import Answer, Made, Server, ServerPage

TOLD = {
    "id": "5c899d56-f53a-4244-95b5-ffd8cfafb11d",
    "name": "web-0a1b2c3d",
    "status": "ACTIVE",
    "created": "2026-11-21T15:27:39Z",
    "flavor": {"original_name": "m1.tiny", "vcpus": 1},
    "addresses": {
        "private": [
            {"version": 6, "addr": "fd00::5", "OS-EXT-IPS:type": "fixed"},
            {"version": 4, "addr": "203.0.113.5", "OS-EXT-IPS:type": "floating"},
            {"version": 4, "addr": "10.0.0.5", "OS-EXT-IPS:type": "fixed"},
        ],
        "storage": [{"version": 4, "addr": "10.9.0.5"}],
    },
}


def server(**changes: Any) -> Server:
    return msgspec.convert({**TOLD, **changes}, Server)


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("BUILD", Standing.BOOTING),
        ("REBOOT", Standing.BOOTING),
        ("ACTIVE", Standing.ACTIVE),
        ("VERIFY_RESIZE", Standing.ACTIVE),
        ("UNKNOWN", Standing.ACTIVE),
        ("A_WORD_OF_TOMORROW", Standing.ACTIVE),
        ("ERROR", Standing.BROKEN),
        ("SHUTOFF", Standing.BROKEN),
        ("SHELVED_OFFLOADED", Standing.BROKEN),
    ],
)
def test_a_machine_stands_as_its_status_says(status: str, standing: Standing) -> None:
    seen = server(status=status).seen("private")
    assert (seen.standing, seen.detail) == (standing, status)


def test_a_machine_that_is_being_deleted_is_broken() -> None:
    seen = server(**{"OS-EXT-STS:task_state": "deleting"}).seen("private")
    assert (seen.standing, seen.detail) == (Standing.BROKEN, "ACTIVE, deleting")


@pytest.mark.parametrize("status", ["DELETED", "SOFT_DELETED"])
def test_a_machine_of_which_only_the_entry_is_left_is_gone(status: str) -> None:
    assert server(status=status).is_gone
    assert not server().is_gone


def test_a_fault_is_told_in_one_printable_line() -> None:
    fault = {"code": 500, "message": "No host\n" + "x" * 500, "details": "Traceback"}
    detail = server(status="ERROR", fault=fault).seen("").detail
    assert detail.startswith("ERROR: No host\\nxxx")
    assert len(detail) < 220
    assert "Traceback" not in detail


@pytest.mark.parametrize(
    ("network", "address"),
    [("private", "10.0.0.5"), ("storage", "10.9.0.5"), ("other", None), ("", "10.0.0.5")],
)
def test_the_address_is_the_fixed_one_on_the_network(network: str, address: str | None) -> None:
    assert server().seen(network).address == address


def test_an_ipv6_address_is_taken_where_there_is_no_other() -> None:
    six = {"private": [{"version": 6, "addr": "fd00::5", "OS-EXT-IPS:type": "fixed"}]}
    assert server(addresses=six).seen("private").address == "fd00::5"


def test_a_machine_without_an_address_yet_has_none() -> None:
    assert server(addresses={}).seen("").address is None
    assert server(addresses={"private": []}).seen("private").address is None


def test_the_flavor_is_told_by_its_name_where_that_is_known() -> None:
    assert server().seen("").cost_class == "m1.tiny"
    assert server(flavor={"id": "1", "links": []}).seen("").cost_class == "1"


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"servers": [{}]}', b'{"servers": [{"id": 1}]}', b"\xff", b"<"],
)
def test_what_is_no_answer_is_no_answer(body: bytes) -> None:
    with pytest.raises(CloudAway, match="GET it is answered by what cannot be read"):
        Answer("GET it", 200, body).read(ServerPage)


def test_the_first_password_of_a_machine_is_not_kept() -> None:
    body = b'{"server": {"id": "a", "adminPass": "secret"}}'
    assert "secret" not in repr(Answer("POST", 202, body).read(Made))
