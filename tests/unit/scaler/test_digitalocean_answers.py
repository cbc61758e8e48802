"""What DigitalOcean tells of droplets and of their load is read strictly, and means one thing."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import UNSET

from secretary.scaler.ports import Seen, Standing
from secretary.scaler.providers.digitalocean_answers import (
    Droplet,
    Holder,
    Named,
    Reserved,
    action,
    busy_percent,
    droplet,
    page,
    reserved,
)

PRIVATE = {"ip_address": "10.110.0.5", "type": "private"}
PUBLIC = {"ip_address": "198.18.0.5", "type": "public"}
V6 = {"ip_address": "2001:DB8::5", "type": "public"}


def told(**changed: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "name": "web-1",
        "status": "active",
        "created_at": "2026-11-21T10:00:00Z",
        "size_slug": "s-1vcpu-1gb",
        "networks": {"v4": [PUBLIC, PRIVATE], "v6": [V6]},
        "tags": ["x"],
        **changed,
    }


def seen(network: str = "", **changed: Any) -> Seen:
    return droplet({"droplet": told(**changed)}).seen(network)


def test_a_droplet_is_seen_at_its_private_address() -> None:
    assert seen() == Seen(
        provider_id="7",
        name="web-1",
        standing=Standing.ACTIVE,
        address="10.110.0.5",
        created=datetime(2026, 11, 21, 10, tzinfo=UTC),
        cost_class="s-1vcpu-1gb",
        detail="active",
    )


def test_it_is_seen_at_its_public_address_where_the_group_says_so() -> None:
    assert seen("public").address == "198.18.0.5"


@pytest.mark.parametrize(
    ("network", "networks", "address"),
    [
        ("", {"v4": [PUBLIC], "v6": []}, "198.18.0.5"),
        ("public", {"v4": [PRIVATE]}, "10.110.0.5"),
        ("", {"v4": [], "v6": [V6]}, "2001:db8::5"),
        ("", {"v4": [], "v6": []}, None),
        ("", {}, None),
    ],
)
def test_another_address_will_do_where_that_one_is_not_there(
    network: str, networks: dict[str, Any], address: str | None
) -> None:
    assert seen(network, networks=networks).address == address


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("new", Standing.BOOTING),
        ("active", Standing.ACTIVE),
        ("off", Standing.BROKEN),
        ("archive", Standing.BROKEN),
        ("\x1b[2Jodd", Standing.BROKEN),
    ],
)
def test_each_status_has_its_standing(status: str, standing: Standing) -> None:
    found = seen(status=status)
    assert found.standing is standing
    assert found.detail.isprintable()


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "7"},
        {"name": None},
        {"created_at": "yesterday"},
        {"created_at": "2026-11-21T10:00:00"},
        {"networks": []},
        {"networks": {"v4": [{"ip_address": "10.0.0.300", "type": "private"}]}},
    ],
)
def test_what_is_no_droplet_is_not_taken_for_one(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        seen(**changed)


def test_a_page_says_whether_another_follows() -> None:
    links = {"pages": {"next": "https://api.digitalocean.com/v2/droplets?page=2", "last": "…"}}
    items, has_more = page({"droplets": [told()], "links": links}, "droplets", Droplet)
    assert [each.name for each in items] == ["web-1"]
    assert has_more
    assert page({"images": [{"id": 5, "name": "app"}], "links": {}}, "images", Named) == (
        [Named(5, "app")],
        False,
    )


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"droplets": None}, {"droplets": {}}, {"droplets": [], "links": {"pages": 3}}],
)
def test_what_is_no_page_is_not_an_empty_one(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        page(answer, "droplets", Droplet)


def metrics(**counts: list[float | str]) -> dict[str, Any]:
    series = [
        {
            "metric": {"host_id": "7", "mode": mode},
            "values": [[15 * i, v] for i, v in enumerate(of)],
        }
        for mode, of in counts.items()
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": series}}


def test_the_load_is_what_the_cores_did_not_idle() -> None:
    answer = metrics(
        idle=["100.0", "110", "160"],
        iowait=[5, 6, 15],
        user=["1.5", "20", "21.5"],
        steal=[0, 1, 10],
    )
    assert busy_percent(answer) == pytest.approx(30.0)


@pytest.mark.parametrize(
    "answer",
    [
        metrics(),
        metrics(idle=[1], user=[1]),
        metrics(idle=[5, 5], user=[1, 1]),
        metrics(idle=[100, 5], user=[1, 2]),
        metrics(idle=["NaN", "NaN"], user=[1, 2]),
        metrics(idle=[0, "inf"], user=[1, 2]),
    ],
    ids=["no series", "one sample", "no time", "rebooted", "not a number", "infinite"],
)
def test_a_load_that_cannot_be_told_is_not_told(answer: dict[str, Any]) -> None:
    assert busy_percent(answer) is None


@pytest.mark.parametrize(
    "answer", [None, {}, {"data": {"result": [{"metric": {}, "values": []}]}}, metrics(idle=["x"])]
)
def test_what_is_no_load_is_not_taken_for_one(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        busy_percent(answer)


@pytest.mark.parametrize(
    ("told", "droplet", "is_locked"),
    [
        ({"droplet": None}, None, False),
        ({"droplet": None, "locked": True}, None, True),
        (
            {"droplet": {"id": 7, "name": "lb-1", "new": 1}, "locked": False},
            Holder(7, "lb-1"),
            False,
        ),
        ({}, UNSET, False),
    ],
)
def test_who_has_a_reserved_address_is_told_or_hidden(
    told: dict[str, Any], droplet: object, is_locked: bool
) -> None:
    assert reserved({"reserved_ip": told}) == Reserved(droplet, is_locked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"reserved_ip": None},
        {"reserved_ip": {"droplet": {}}},
        {"reserved_ip": {"locked": "no"}},
        {"reserved_ip": {"droplet": {"id": "7"}}},
    ],
)
def test_a_reserved_address_that_cannot_be_read_is_none(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected|missing"):
        reserved(answer)


@pytest.mark.parametrize(
    "answer", [None, {}, {"action": {"id": 1}}, {"action": {"id": 1, "status": "x"}}]
)
def test_an_action_that_cannot_be_read_is_none(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected|missing|Invalid"):
        action(answer)
    assert action({"action": {"id": 1, "status": "errored", "type": "assign_ip"}}).id == 1
