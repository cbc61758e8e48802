"""OpenStack through its real client, against a real Nova: what each operation does, and is told."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from secretary.core.errors import CloudAway, CloudBusy, CloudRefused
from secretary.scaler.ports import Provider, Standing
from tests.clouds.openstack import (
    AMBIGUOUS_NAME,
    IMAGE,
    IMAGE_NAME,
    PAGE,
    TOO_LARGE,
    OpenStack,
)
from tests.clouds.openstack_fixtures import (
    GROUP,
    NAME,
    TAG,
    active,
    cloud,
    opened,
    provider,
    server,
)
from tests.waiting import wait_for

__all__ = ["cloud", "provider", "server"]

pytestmark = pytest.mark.timeout(900)

NOBODY = "00000000-0000-4000-8000-000000000000"
NETWORK_ID = "3cb9bc59-5699-4588-a4b1-b87f96708bc6"
POSTED = ("POST", "/compute/v2.1/servers")


def shown(cloud: OpenStack, id_: str) -> dict[str, Any]:
    told: dict[str, Any] = cloud.ask("GET", f"/servers/{id_}")["server"]
    return told


def acted(cloud: OpenStack, id_: str, **action: Any) -> Any:
    return cloud.ask("POST", f"/servers/{id_}/action", json=action)


def posts(cloud: OpenStack) -> int:
    return cloud.asked().count(POSTED)


def test_a_machine_is_made_as_the_group_says(cloud: OpenStack, tmp_path: Path) -> None:
    template = tmp_path / "user-data"
    template.write_text("#cloud-config\nhostname: ${name}\n# {group} ${group} ${service}\n")
    # A key pair belongs to a user.
    cloud.ask("POST", "/os-keypairs", json={"keypair": {"name": "ops"}})
    try:
        with opened(
            cloud,
            user="admin",
            image=IMAGE_NAME,
            size="2",
            region="RegionOne/nova",
            ssh_keys=("ops",),
            tags=("blue", "shop"),
            user_data=str(template),
        ) as provider:
            before = datetime.now(UTC).replace(microsecond=0)
            made = provider.create(NAME)
            assert made.created >= before
            seen = active(provider, made.provider_id)
    finally:
        cloud.ask("DELETE", "/os-keypairs/ops")
    assert re.fullmatch(r"192\.168\.\d+\.\d+", seen.address or "")
    assert (seen.name, seen.cost_class, seen.detail) == (NAME, "m1.small", "ACTIVE")
    told = shown(cloud, made.provider_id)
    assert told["tags"] == ["blue", TAG, "shop"]
    assert told["key_name"] == "ops"
    assert told["OS-EXT-AZ:availability_zone"] == "nova"
    given = base64.b64decode(told["OS-EXT-SRV-ATTR:user_data"]).decode()
    assert given == f"#cloud-config\nhostname: {NAME}\n# {{group}} {GROUP} web\n"


def test_a_machine_is_made_of_a_snapshot(cloud: OpenStack, provider: Provider) -> None:
    made = provider.create(NAME)
    active(provider, made.provider_id)
    acted(cloud, made.provider_id, createImage={"name": "golden"})
    with opened(cloud, image="golden") as other:
        wait_for(lambda: shown(cloud, made.provider_id)["OS-EXT-STS:task_state"] is None)
        second = other.create(f"{NAME}-2")
    assert shown(cloud, second.provider_id)["image"]["id"] != IMAGE


@pytest.mark.parametrize("network", ["", "private", NETWORK_ID])
def test_a_network_is_named_by_name_or_id_or_left_to_the_cloud(
    cloud: OpenStack, network: str
) -> None:
    with opened(cloud, network=network) as provider:
        seen = active(provider, provider.create(NAME).provider_id)
    assert seen.address


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"image": "no-such"}, "no image named no-such"),
        ({"image": AMBIGUOUS_NAME}, f"images named {AMBIGUOUS_NAME}; give an id"),
        ({"size": "no-such"}, "no flavor named no-such"),
        ({"network": "no-such"}, "no network named no-such"),
        ({"network": NOBODY}, f"no network {NOBODY}"),
    ],
    ids=["image", "ambiguous image", "flavor", "network", "network's id"],
)
def test_what_the_cloud_does_not_have_is_found_out_before_anything_is_made(
    cloud: OpenStack, machine: dict[str, Any], said: str
) -> None:
    before = posts(cloud)
    with opened(cloud, **machine) as provider, pytest.raises(CloudRefused, match=said):
        provider.create(NAME)
    assert posts(cloud) == before


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"image": NOBODY}, NOBODY),
        ({"ssh_keys": ("nobodys",)}, "key_name"),
        ({"region": "/nowhere"}, "availability zone"),
    ],
    ids=["image", "key pair", "zone"],
)
def test_what_nova_refuses_is_told_in_its_own_words(
    cloud: OpenStack, machine: dict[str, Any], said: str
) -> None:
    with opened(cloud, **machine) as provider, pytest.raises(CloudRefused, match=said):
        provider.create(NAME)
    assert cloud.servers() == []


def test_an_unknown_region_is_refused(cloud: OpenStack) -> None:
    with (
        opened(cloud, region="Elsewhere") as provider,
        pytest.raises(CloudRefused, match="OS_REGION_NAME"),
    ):
        provider.machines()


def test_an_exhausted_quota_is_refused_and_makes_nothing(
    cloud: OpenStack, provider: Provider
) -> None:
    with cloud.quota(instances=0), pytest.raises(CloudRefused, match="Quota exceeded") as raised:
        provider.create(NAME)
    assert "have it raised" in str(raised.value)
    assert cloud.servers() == []


def test_a_machine_that_no_host_has_room_for_is_broken_and_says_why(cloud: OpenStack) -> None:
    with opened(cloud, size=TOO_LARGE) as provider:
        made = provider.create(NAME)

        def is_broken() -> bool:
            found = provider.find(made.provider_id)
            return found is not None and found.standing is Standing.BROKEN

        wait_for(is_broken, timeout_s=60)
        (seen,) = provider.machines()
        assert seen.detail.startswith("ERROR: No valid host was found.")
        assert "Traceback" not in seen.detail
        assert provider.delete(made.provider_id)
        wait_for(lambda: not provider.machines())


def test_a_machine_that_is_switched_off_is_broken(cloud: OpenStack, provider: Provider) -> None:
    made = provider.create(NAME)
    active(provider, made.provider_id)
    acted(cloud, made.provider_id, **{"os-stop": None})
    wait_for(lambda: provider.machines()[0].standing is Standing.BROKEN, timeout_s=60)
    assert provider.machines()[0].detail == "SHUTOFF"


def test_200_machines_are_listed_over_all_pages(cloud: OpenStack, provider: Provider) -> None:
    cloud.fill(GROUP, [TAG], 201)
    cloud.fill("others", ["secretary-web-2"], 2)
    before = len(cloud.asked())
    seen = provider.machines()
    assert len(seen) == len({each.provider_id for each in seen}) == 201
    pages = [path for _, path in cloud.asked()[before:] if "/servers/detail" in path]
    assert len(pages) == -(-201 // PAGE)
    assert all(f"tags={TAG}" in path for path in pages)


def test_a_machine_that_goes_between_two_pages_does_not_hide_the_others(
    cloud: OpenStack, provider: Provider
) -> None:
    cloud.fill(GROUP, [TAG], PAGE + 1)
    with cloud.fault(path="marker=", status=400, times=1):
        assert len(provider.machines()) == PAGE + 1
    with cloud.fault(path="marker=", status=400), pytest.raises(CloudAway, match="went while"):
        provider.machines()


def test_two_machines_of_one_name_are_told_apart_by_their_ids(
    cloud: OpenStack, provider: Provider
) -> None:
    one, two = cloud.make(NAME), cloud.make(NAME)
    with pytest.raises(CloudRefused, match=re.escape(", ".join(sorted((one, two))))):
        provider.find(NAME)
    found = provider.find(two)
    assert found is not None
    assert found.provider_id == two


def test_a_machine_that_is_built_takes_no_tag_yet(cloud: OpenStack, provider: Provider) -> None:
    with cloud.fault(method="PUT", path="/tags/", status=409):
        made = provider.create(NAME)
        provider.tag(made.provider_id)  # which it has
        other = cloud.make(f"{NAME}-2", count=10)
        with pytest.raises(CloudBusy, match="while it is built"):
            provider.tag(other)
        cloud.wait_active(other)
        with pytest.raises(CloudRefused, match="while it is ACTIVE"):
            provider.tag(other)


def test_what_is_no_id_is_nobody(provider: Provider) -> None:
    assert not provider.delete("../flavors")
    assert provider.find("../flavors") is None
    assert provider.cpu(["../flavors"]) == {}
    provider.untag("../flavors")
    with pytest.raises(CloudRefused, match="no server"):
        provider.tag("../flavors")


@pytest.mark.parametrize(("newest", "load"), [("2.51", {15.0}), ("2.1", set())])
def test_an_older_cloud_is_used_through_metadata(
    cloud: OpenStack, newest: str, load: set[float]
) -> None:
    cloud.pretend_to_speak(newest)
    with opened(cloud, user="admin", tags=("blue", "shop")) as provider:
        made = provider.create(NAME)
        told = shown(cloud, made.provider_id)
        assert (told["tags"], told["metadata"]) == ([], {TAG: GROUP, "tags": "blue,shop"})
        seen = active(provider, made.provider_id)
        assert seen.address
        assert seen.cost_class == "1"  # the name of the flavor is not told there
        foreign = cloud.make(f"{NAME}-2")
        cloud.wait_active(foreign)
        assert [each.provider_id for each in provider.machines()] == [made.provider_id]
        assert set(provider.cpu([made.provider_id]).values()) == load
        provider.tag(foreign)
        assert len(provider.machines()) == 2
        for _ in range(2):
            provider.untag(foreign)
            provider.untag(made.provider_id)
        assert provider.machines() == []
        with pytest.raises(CloudRefused, match="no server"):
            provider.tag(NOBODY)
