"""A group is held against what DigitalOcean takes before anything is asked of it."""

from typing import Any

import pytest

from secretary.core.errors import CloudRefused, SettingsError
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler.providers.digitalocean import open_digitalocean
from secretary.scaler.providers.digitalocean_answers import Named
from secretary.scaler.providers.digitalocean_order import check, key_id, order, tag_of, the_one

FINGERPRINT = "3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45"
TOKEN = {"DIGITALOCEAN_TOKEN": "dop_v1_x"}


def group(name: str = "web", prefix: str = "", **machine: Any) -> ScaleGroup:
    given = {"image": "debian-12-x64", "size": "s-1vcpu-1gb", **machine}
    return ScaleGroup(
        name=name,
        service="web",
        name_prefix=prefix,
        provider=ProviderName.DIGITALOCEAN,
        machine=MachineSettings(**given),
    )


def test_an_order_has_the_group_s_tag_and_asks_for_monitoring() -> None:
    made = order(group(tags=("blue",), region="ams3"), "web-1", "debian-12-x64", [7], "vpc")
    assert made == {
        "name": "web-1",
        "image": "debian-12-x64",
        "size": "s-1vcpu-1gb",
        "region": "ams3",
        "ssh_keys": [7],
        "tags": ["secretary-web", "blue"],
        "monitoring": True,
        "vpc_uuid": "vpc",
    }


def test_what_the_group_leaves_open_is_left_to_digitalocean() -> None:
    made = order(group(), "web-1", 5, [], None)
    assert "region" not in made
    assert "vpc_uuid" not in made


def test_groups_with_and_without_dots_have_different_tags() -> None:
    assert tag_of(group("Web.eu")) == "secretary-web:eu"
    assert tag_of(group("web-eu")) == "secretary-web-eu"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (group(image=""), "image"),
        (group(size=""), "size"),
        (group(size="gpu-h100x1-80gb"), "gpu-h100x1-80gb"),
        (group("my_web"), "my_web"),
        (group(prefix="-web"), "name_prefix -web"),
        (group(tags=("a.b",)), "tag a.b"),
        (group(tags=("",)), "tag"),
    ],
)
def test_a_group_that_would_be_refused_is_wrong_at_once(wrong: ScaleGroup, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        check(wrong)
    with pytest.raises(SettingsError):
        open_digitalocean(wrong, TOKEN)


def test_a_prefix_makes_up_for_a_name_that_no_droplet_can_have() -> None:
    check(group("my_web", prefix="my-web"))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.digitalocean.com",
        "http://10.0.0.1:8080",
        "https://user:secret@api.digitalocean.com",
        "https://",
        "ftp://127.0.0.1",
        "api.digitalocean.com",
        "https://[::1",
    ],
)
def test_a_url_that_would_tell_the_token_to_others_is_wrong(url: str) -> None:
    with pytest.raises(SettingsError, match="DIGITALOCEAN_API_URL") as raised:
        open_digitalocean(group(), {**TOKEN, "DIGITALOCEAN_API_URL": url})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["", "https://api.example.com", "http://127.0.0.1:1", "http://[::1]:1"]
)
def test_other_urls_will_do(url: str) -> None:
    open_digitalocean(group(), {**TOKEN, "DIGITALOCEAN_API_URL": url}).close()


def test_a_key_is_taken_by_id_fingerprint_or_name() -> None:
    known = [Named(7, "ops"), Named(8, "ci"), Named(9, "ci")]
    assert [key_id(key, known) for key in ("123", FINGERPRINT, "ops")] == [123, FINGERPRINT, 7]
    with pytest.raises(CloudRefused, match="no SSH key named nobody"):
        key_id("nobody", known)
    with pytest.raises(CloudRefused, match="8, 9"):
        key_id("ci", known)


def test_a_name_that_two_have_is_refused() -> None:
    assert the_one("images", "app", [Named(1, "App"), Named(2, "app"), Named(3)]) == 2
    assert the_one("images", "app", []) is None
    with pytest.raises(CloudRefused, match="several images named app: give one's id: 1, 2"):
        the_one("images", "app", [Named(1, "app"), Named(2, "app")])
