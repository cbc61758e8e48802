"""DigitalOcean through the real client: every operation.

The API is on the loopback, and holds both sides to the public specification.
"""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from secretary.core.errors import CloudAway, CloudRefused
from secretary.core.scaling import ProviderName, ScaleGroup
from secretary.scaler.ports import Provider, Standing
from secretary.scaler.providers.digitalocean import DigitalOcean, open_digitalocean
from secretary.scaler.providers.digitalocean_door import Door
from secretary.scaler.providers.digitalocean_token import Token
from tests.clouds.digitalocean import DigitalOceanApi
from tests.clouds.digitalocean_account import PUBLIC_IMAGE, Droplet
from tests.clouds.digitalocean_faults import DROPPED, NOT_JSON, failing
from tests.clouds.digitalocean_fixtures import NAME, TAG, api, group, opened, provider, server

__all__ = ["api", "provider", "server"]


def only(api: DigitalOceanApi, name: str = NAME) -> Droplet:
    (droplet,) = api.account.named(name)
    return droplet


def test_a_droplet_is_made_as_the_group_says(api: DigitalOceanApi, tmp_path: Path) -> None:
    template = tmp_path / "cloud-init"
    template.write_text("#cloud-config\nhostname: ${name}\nruncmd: [echo $HOME $group $service]\n")
    key, vpc = api.account.key("deploy"), api.account.vpc("backend")
    machine = {
        "ssh_keys": ("deploy", "289794"),
        "network": "backend",
        "tags": ("blue",),
        "user_data": str(template),
    }
    with opened(api, **machine) as provider:
        made = provider.create(NAME)
    assert made.provider_id == str(only(api).id)
    assert dict(only(api).asked) == {
        "name": NAME,
        "image": PUBLIC_IMAGE,
        "size": "s-1vcpu-1gb",
        "region": "ams3",
        "ssh_keys": [key, 289794],
        "tags": [TAG, "blue"],
        "monitoring": True,
        "vpc_uuid": vpc,
        "user_data": f"#cloud-config\nhostname: {NAME}\nruncmd: [echo $HOME web shop]\n",
    }


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_snapshot_is_taken_by_name_or_id(api: DigitalOceanApi, by: str) -> None:
    snapshot = api.account.image("app-2026-11")
    with opened(api, image="app-2026-11" if by == "name" else str(snapshot)) as provider:
        provider.create(NAME)
    assert only(api).asked["image"] == snapshot


def test_names_are_looked_up_on_all_pages(api: DigitalOceanApi) -> None:
    for number in range(250):
        api.account.image(f"app-{number}")
        api.account.key(f"key-{number}")
        api.account.vpc(f"vpc-{number}")
    with opened(api, image="app-249", ssh_keys=("key-249",), network="vpc-249") as provider:
        provider.create(NAME)
    asked = only(api).asked
    assert asked["image"] == max(api.account.images)
    assert api.account.keys[asked["ssh_keys"][0]] == "key-249"
    assert api.account.vpcs[asked["vpc_uuid"]] == "vpc-249"


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"image": "no-such"}, "invalid image.*image no-such, size s-1vcpu-1gb, region ams3"),
        ({"image": "4711"}, "invalid image"),
        ({"image": "Debian 12"}, "invalid image"),  # a public one's name: it goes by its slug
        ({"size": "s-99"}, "invalid size.*size s-99"),
        ({"region": "moon1"}, "invalid region.*region moon1"),
        ({"ssh_keys": ("nobody",)}, "no SSH key named nobody"),
        ({"ssh_keys": ("4711",)}, "ssh_keys are invalid"),
        ({"network": "nowhere"}, "no VPC named nowhere"),
        ({"user_data": "/no/such/file"}, "/no/such/file: No such file"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_made(
    api: DigitalOceanApi, machine: dict[str, Any], said: str
) -> None:
    with opened(api, **machine) as provider, pytest.raises(CloudRefused, match=said):
        provider.create(NAME)
    assert api.account.droplets == {}


def test_user_data_is_as_much_as_digitalocean_takes(api: DigitalOceanApi, tmp_path: Path) -> None:
    template = tmp_path / "user-data"
    with opened(api, user_data=str(template)) as provider:
        template.write_text("x" * 64 * 1024)
        provider.create(NAME)
        template.write_text("x" * 64 * 1024 + "x")
        with pytest.raises(CloudRefused, match="65537 bytes"):
            provider.create(f"{NAME}-2")
    assert len(api.account.droplets) == 1


def test_a_quota_that_is_used_up_is_refused(api: DigitalOceanApi, provider: Provider) -> None:
    api.account.droplet_limit = 1
    provider.create(NAME)
    with pytest.raises(CloudRefused, match="will exceed your droplet limit"):
        provider.create(f"{NAME}-2")
    assert len(api.account.droplets) == 1


def test_a_droplet_boots_and_then_has_its_address(api: DigitalOceanApi) -> None:
    api.account.boot_s = 3600.0
    with opened(api) as provider, opened(api, network="public") as public:
        made = provider.create(NAME)
        assert (made.standing, made.address) == (Standing.BOOTING, None)
        only(api).boots_at = 0.0
        (seen,) = provider.machines()
        assert seen.standing is Standing.ACTIVE
        assert seen.address is not None
        assert seen.address.startswith("10.110.")
        (seen,) = public.machines()
        assert seen.address is not None
        assert seen.address.startswith("198.18.")
        only(api).is_off = True
        (seen,) = provider.machines()
        assert (seen.standing, seen.detail) == (Standing.BROKEN, "off")


def test_a_tag_that_lists_show_late_hides_no_machine(api: DigitalOceanApi) -> None:
    api.account.tag_lag_s = 3600.0
    with opened(api) as provider:
        made = provider.create(NAME)
        adopted = str(api.account.made("old").id)
        provider.tag(adopted)
        assert [each.name for each in provider.machines()] == [NAME, "old"]
        provider.untag(adopted)
        assert [each.name for each in provider.machines()] == [NAME]
        provider.delete(made.provider_id)
        assert provider.machines() == []


def test_a_late_tag_is_waited_for_no_longer_than_a_minute(api: DigitalOceanApi) -> None:
    api.account.tag_lag_s = 3600.0
    now = [0.0]
    door = Door(api.url, Token(api.environ()))
    with contextlib.closing(DigitalOcean(group(), door, clock=lambda: now[0])) as provider:
        provider.create(NAME)
        now[0] = 60.0
        assert len(provider.machines()) == 1
        now[0] = 60.1
        assert provider.machines() == []


def test_of_two_with_one_name_the_older_is_found(api: DigitalOceanApi, provider: Provider) -> None:
    first = api.account.made(NAME)
    api.account.made(NAME)
    api.account.made(f"{NAME}-2")
    found = provider.find(NAME)
    assert found is not None
    assert found.provider_id == str(first.id)


def test_a_number_is_an_id_or_else_a_name(api: DigitalOceanApi, provider: Provider) -> None:
    named = api.account.made("4711")
    found = provider.find("4711")
    assert found is not None
    assert found.provider_id == str(named.id)
    assert provider.find("4712") is None


def test_what_can_be_no_id_is_not_asked_for(api: DigitalOceanApi, provider: Provider) -> None:
    assert not provider.delete("../account")
    assert provider.cpu(["../account", "-1"]) == {}
    assert api.asked == []


def test_a_group_s_name_with_a_dot_is_a_tag_all_the_same(api: DigitalOceanApi) -> None:
    dotted = ScaleGroup(
        name="web.eu",
        service="web",
        provider=ProviderName.DIGITALOCEAN,
        machine=group().machine,
    )
    with contextlib.closing(open_digitalocean(dotted, api.environ())) as provider:
        made = provider.create("web.eu-1")
        adopted = str(api.account.made("old").id)
        provider.tag(adopted)
        assert len(provider.machines()) == 2
        provider.untag(adopted)
        assert [each.provider_id for each in provider.machines()] == [made.provider_id]
    assert only(api, "web.eu-1").tags.keys() == {"secretary-web:eu"}


def test_all_of_more_than_two_hundred_are_listed_and_can_be_removed(
    api: DigitalOceanApi,
) -> None:
    for number in range(450):
        api.account.made(f"web-{number}", TAG)
    api.account.made("other")
    with opened(api) as provider:
        seen = provider.machines()
        assert {each.name for each in seen} == {f"web-{number}" for number in range(450)}
        assert api.asked == ["GET /v2/droplets"] * 3
        provider.delete(seen[-1].provider_id)
        assert len(provider.machines()) == 449


def test_a_list_that_breaks_off_is_no_short_list(api: DigitalOceanApi, provider: Provider) -> None:
    for number in range(201):
        api.account.made(f"web-{number}", TAG)
    for fault in (DROPPED, NOT_JSON, failing(500)):
        api.faults.set(fault, "GET", "/v2/droplets", after=1)
        with pytest.raises(CloudAway):
            provider.machines()
        api.faults.clear()
    assert len(provider.machines()) == 201


def test_the_load_is_that_of_all_cores(api: DigitalOceanApi) -> None:
    loads = {0.0: "idle", 0.05: "calm", 0.7: "busy", 1.0: "full"}
    with opened(api, size="s-2vcpu-2gb") as provider:
        ids = [provider.create(name).provider_id for name in loads.values()]
        for busy, name in loads.items():
            only(api, name).busy = busy
        silent = provider.create("silent").provider_id
        only(api, "silent").busy = None
        known = provider.cpu([*ids, silent, "4711"])
    assert [known[id_] for id_ in ids] == pytest.approx([0, 5, 70, 100], abs=0.1)
    assert known.keys() == set(ids)
