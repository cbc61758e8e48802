"""OpenStack, with a fault at every request that is made of it: what is said, and what is left."""

import base64
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import pytest

from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused
from secretary.scaler.ports import Provider, Standing
from tests.clouds.openstack import OpenStack
from tests.clouds.openstack_fixtures import NAME, active, cloud, impatient, opened, server
from tests.clouds.openstack_fronts import PASSWORD
from tests.waiting import wait_for

__all__ = ["cloud", "server"]

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Call:
    """A request, and what makes the provider send it. `id_` is that of a machine of the group."""

    method: str
    path: str
    does: Callable[[Provider, str], object]
    changes: bool = False
    """Whether it leaves something behind when it is carried out."""


def create(provider: Provider, _: str) -> object:
    return provider.create(f"{NAME}-2")


def machines(provider: Provider, _: str) -> object:
    return provider.machines()


def delete(provider: Provider, id_: str) -> object:
    return provider.delete(id_)


def find(provider: Provider, id_: str) -> object:
    return provider.find(id_)


def find_by_name(provider: Provider, _: str) -> object:
    return provider.find(NAME)


def tag(provider: Provider, id_: str) -> None:
    provider.tag(id_)


def untag(provider: Provider, id_: str) -> None:
    provider.untag(id_)


def cpu(provider: Provider, id_: str) -> object:
    return provider.cpu([id_])


ONE = "^/compute/v2.1/servers/[0-9a-f-]{36}$"

CALLS = {
    "login": Call("POST", "^/identity/v3/auth/tokens", machines),
    "create: flavor": Call("GET", "^/compute/v2.1/flavors", create),
    "create: network": Call("GET", "^/network/v2.0/networks", create),
    "create: name": Call("GET", "^/compute/v2.1/servers/detail.*name=", create),
    "create": Call("POST", "^/compute/v2.1/servers$", create, changes=True),
    "machines": Call("GET", "^/compute/v2.1/servers/detail.*tags=", machines),
    "delete": Call("DELETE", ONE, delete, changes=True),
    "find by id": Call("GET", ONE, find),
    "find by name": Call("GET", "^/compute/v2.1/servers/detail.*name=", find_by_name),
    "tag": Call("PUT", "/tags/", tag),
    "untag": Call("DELETE", "/tags/", untag, changes=True),
    "cpu": Call("GET", "/diagnostics$", cpu),
}
FAULTS: dict[str, tuple[dict[str, Any], type[CloudError]]] = {
    "429": ({"status": 429, "headers": {"Retry-After": "7"}}, CloudBusy),
    "413": ({"status": 413, "headers": {"Retry-After": "7"}}, CloudBusy),
    "403": ({"status": 403}, CloudRefused),
    "500": ({"status": 500}, CloudAway),
    "503": ({"status": 503, "headers": {"Retry-After": "7"}}, CloudAway),
    "504, carried out": ({"status": 504, "applied": True}, CloudAway),
    "drop": ({"does": "drop"}, CloudAway),
    "drop, carried out": ({"does": "drop", "applied": True}, CloudAway),
    "hang": ({"does": "hang"}, CloudAway),
    "garbage": ({"does": "garbage"}, CloudAway),
}


@pytest.fixture
def id_(server: OpenStack) -> Iterator[str]:
    """The one machine that there is, of the group's: the last test's, where that left it alone."""
    server.mend()
    found = server.servers()
    if [(each["name"], each["tags"]) for each in found] != [(NAME, ["secretary-web"])]:
        server.remove_all()
        server.wait_active(server.make(NAME, ["secretary-web"]))
        found = server.servers()
    yield found[0]["id"]
    server.mend()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_each_fault_of_each_request_is_one_of_the_three_errors_and_is_not_asked_again(
    server: OpenStack, id_: str, call: Call, fault: tuple[dict[str, Any], type[CloudError]]
) -> None:
    does, kind = fault
    if call is CALLS["cpu"] and kind is CloudRefused:
        return  # test_openstack.py has it: a user who may not know is told so once
    patience = impatient(server) if does.get("does") == "hang" else opened(server, user="admin")
    with patience as provider:
        if call is not CALLS["login"]:
            provider.machines()
        before = len(server.asked())
        with (
            server.fault(method=call.method, path=call.path, **does),
            pytest.raises(kind) as raised,
        ):
            call.does(provider, id_)
        asked = [path for method, path in server.asked()[before:] if method == call.method]
        assert len([path for path in asked if re.search(call.path, path)]) == 1
        said = str(raised.value)
        what = "login" if call is CALLS["login"] else call.method
        assert said.startswith(f"OpenStack at {server.url}/identity/v3: {what} ")
        assert "\n" not in said
        if isinstance(raised.value, CloudBusy):
            assert raised.value.retry_after_s == 7
        is_done = call.changes and does.get("applied", False)
        names = {NAME, f"{NAME}-2"} if is_done and call is CALLS["create"] else {NAME}
        if is_done and call is CALLS["delete"]:
            names = set()
        if not names:
            wait_for(lambda: not server.servers())
        assert {each["name"] for each in server.servers()} == names
        is_untagged = is_done and call is CALLS["untag"]
        assert {each.name for each in provider.machines()} == (set() if is_untagged else names)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_machine_that_is_made_is_told_whatever_becomes_of_the_next_question(
    cloud: OpenStack, fault: tuple[dict[str, Any], type[CloudError]]
) -> None:
    with (
        impatient(cloud) as provider,
        cloud.fault(method="GET", path=ONE, **fault[0]),
    ):
        made = provider.create(NAME)
        assert (made.name, made.standing, made.address) == (NAME, Standing.BOOTING, None)
    assert [each["id"] for each in cloud.servers()] == [made.provider_id]


@pytest.mark.parametrize("does", [{"does": "drop"}, {"status": 503}, {"does": "garbage"}])
def test_a_cloud_that_does_not_say_what_it_speaks_is_away_and_not_old(
    cloud: OpenStack, does: dict[str, Any]
) -> None:
    """Else machines would be marked, and looked for, in another way from then on."""
    with opened(cloud) as provider:
        with cloud.fault(path="^/compute/(v2.1/?)?$", **does), pytest.raises(CloudAway):
            provider.create(NAME)
        provider.create(NAME)
    (made,) = cloud.servers()
    assert made["tags"] == ["secretary-web"]


def test_an_image_is_looked_up_and_that_may_fail(cloud: OpenStack) -> None:
    with opened(cloud, image="golden") as provider:
        for does, kind in FAULTS.values():
            if does.get("does") != "hang":
                with cloud.fault(path="^/image/v2/images", **does), pytest.raises(kind):
                    provider.create(NAME)
    assert cloud.servers() == []


def test_a_pause_may_be_told_as_a_date(cloud: OpenStack) -> None:
    headers = {"Retry-After": formatdate(time() + 30, usegmt=True)}
    with (
        opened(cloud) as provider,
        cloud.fault(path="/servers/detail", status=429, headers=headers),
        pytest.raises(CloudBusy) as raised,
    ):
        provider.machines()
    assert 25 <= raised.value.retry_after_s <= 30


def test_nothing_that_is_secret_is_logged_or_said(
    cloud: OpenStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    template = tmp_path / "user-data"
    template.write_text("a-secret-of-the-machine")
    echoed = {"error": {"message": f"no {PASSWORD}, no"}}
    said = []
    with (
        caplog.at_level(logging.DEBUG),
        opened(cloud, user_data=str(template)) as provider,
    ):
        for fault in (
            {"path": "tokens$", "status": 401, "body": echoed},
            {"path": "/servers$", "status": 400, "body": echoed},
            {"path": "/servers$", "does": "drop"},
        ):
            with cloud.fault(**fault), pytest.raises(CloudError) as raised:
                provider.create(NAME)
            said.append(str(raised.value))
        active(provider, provider.create(NAME).provider_id)
    assert "***" in said[0]
    texts = "\n".join([caplog.text, *said])
    assert "a-secret-of-the-machine" not in texts
    assert base64.b64encode(b"a-secret-of-the-machine").decode() not in texts
    for secret in (PASSWORD, *cloud.tokens()):
        assert secret not in texts
