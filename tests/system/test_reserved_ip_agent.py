"""The resource agent gives DigitalOcean's reserved address to its droplet and watches it there."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clouds.digitalocean import DigitalOceanApi
from tests.clouds.digitalocean_faults import DROPPED, Fault, failing, too_many
from tests.clouds.digitalocean_fixtures import api, server
from tests.system.docker_bed import needs
from tests.system.reserved_ip_bed import (
    ADDRESS,
    ARGS,
    CONFIGURED,
    GENERIC,
    INSTALLED,
    NOT_RUNNING,
    PERM,
    SUCCESS,
    Droplet,
    Installed,
    droplet,
    installed,
)

__all__ = ["api", "server"]

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

MOVE = f"/v2/reserved_ips/{ADDRESS}/actions"


@pytest.fixture(scope="module")
def debians() -> Iterator[Installed]:
    needs("chroot", "curl", "debootstrap")
    with installed() as made:
        yield made


@pytest.fixture
def pair(
    api: DigitalOceanApi, debians: Installed, tmp_path: Path
) -> Iterator[tuple[Droplet, Droplet]]:
    api.account.reserved.add(ADDRESS)
    with (
        droplet(api, debians, "lb-1", tmp_path) as one,
        droplet(api, debians, "lb-2", tmp_path) as two,
    ):
        yield one, two


@pytest.fixture
def one(pair: tuple[Droplet, Droplet]) -> Droplet:
    return pair[0]


@pytest.fixture
def two(pair: tuple[Droplet, Droplet]) -> Droplet:
    return pair[1]


def holder(api: DigitalOceanApi) -> int | None:
    found = api.account.reserved.get(ADDRESS)
    assert found is not None
    return found.droplet_id


def test_it_passes_ocf_tester(one: Droplet) -> None:
    said = one.ocf_tester()
    assert "passed all tests" in said
    assert "* rc=" not in said


def test_its_life(api: DigitalOceanApi, one: Droplet, two: Droplet) -> None:
    """Each action may be repeated; the address goes from one droplet to the other."""
    assert one("monitor") == (NOT_RUNNING, "")
    assert one("stop") == (SUCCESS, "")
    assert one("validate-all") == (SUCCESS, "")
    for _ in range(2):
        assert one("start") == (SUCCESS, "")
        assert one("monitor") == (SUCCESS, "")
    assert holder(api) == one.id
    for _ in range(2):
        assert one("stop") == (SUCCESS, "")
        assert one("monitor") == (NOT_RUNNING, "")
    assert holder(api) == one.id, "until the other takes it, users are not sent away"
    assert two("start") == (SUCCESS, "")
    assert holder(api) == two.id
    assert two("monitor") == (SUCCESS, "")
    assert one("promote")[0] == 3


def test_where_the_address_is_already_the_api_is_only_asked_whether_it_is(
    api: DigitalOceanApi, one: Droplet
) -> None:
    api.account.reserved.add(ADDRESS, one.id)
    assert one("start") == (SUCCESS, "")
    assert one("monitor") == (SUCCESS, "")
    assert one("stop") == (SUCCESS, "")
    assert api.asked == [f"GET /v2/reserved_ips/{ADDRESS}"]


def test_an_api_that_is_away_does_not_keep_from_starting_what_is_here(
    api: DigitalOceanApi, one: Droplet
) -> None:
    api.account.reserved.add(ADDRESS, one.id)
    api.faults.set(failing(503))
    assert one("start", timeout_s=12) == (SUCCESS, "")
    assert f"{ADDRESS} is here all the same, as {one.metadata.url} says: DigitalOcean" in one.said
    assert one("monitor") == (SUCCESS, "")


def test_a_metadata_service_that_is_behind_is_not_believed_against_the_api(
    api: DigitalOceanApi, one: Droplet, two: Droplet
) -> None:
    assert two("start") == (SUCCESS, "")
    one.metadata.shows = ADDRESS
    assert one("start") == (SUCCESS, "")
    assert holder(api) == one.id


def test_a_monitor_asks_the_metadata_service_alone(
    api: DigitalOceanApi, one: Droplet, two: Droplet
) -> None:
    assert one("start") == (SUCCESS, "")
    api.asked.clear()
    one.metadata.asked.clear()
    assert one("monitor", secretary="/nowhere", token_file="/nowhere") == (SUCCESS, "")
    assert api.asked == []
    paths = [f"/metadata/v1/reserved_ip/ipv4/{name}" for name in ("active", "ip_address")]
    assert one.metadata.asked == paths
    assert two("monitor") == (NOT_RUNNING, "")
    assert two.metadata.asked == [], "where it was never started nobody need be asked"


def test_an_address_that_was_taken_away_is_not_running_here(
    api: DigitalOceanApi, one: Droplet, two: Droplet
) -> None:
    assert one("start") == (SUCCESS, "")
    assert two("start") == (SUCCESS, "")
    why = f"{ADDRESS} was taken from here: this droplet has no reserved address"
    assert one("monitor") == (NOT_RUNNING, why)
    api.account.reserved.add("203.0.113.8", one.id)
    why = f"{ADDRESS} was taken from here: this droplet has 203.0.113.8"
    assert one("monitor") == (NOT_RUNNING, why)


def test_a_metadata_service_that_is_away_takes_no_address_away(one: Droplet) -> None:
    assert one("start") == (SUCCESS, "")
    one.metadata.status = 503
    assert one("monitor") == (SUCCESS, "")
    assert f"{ADDRESS} is taken to be here as before" in one.said
    assert one("monitor") == (SUCCESS, "")
    assert "as before" not in one.said, "what lasts is said once"
    one.metadata.hangs = True
    begun = time.monotonic()
    assert one("monitor", metadata_timeout="1") == (SUCCESS, "")
    assert time.monotonic() - begun < 10.0
    assert one("monitor", metadata="http://127.0.0.1:9") == (SUCCESS, "")
    one.metadata.hangs, one.metadata.status = False, 200
    assert one("monitor") == (SUCCESS, "")
    assert f"this droplet has {ADDRESS}" in one.said


def test_a_metadata_service_that_is_late_is_waited_for(one: Droplet) -> None:
    one.metadata.lag_looks = 6
    assert one("start") == (SUCCESS, "")
    assert one.metadata.lag_looks == 0
    assert one("monitor") == (SUCCESS, "")


def test_one_that_never_shows_the_address_is_a_failure_in_time(one: Droplet) -> None:
    one.metadata.lag_looks = 10**6
    begun = time.monotonic()
    code, why = one("start", timeout_s=10)
    assert code == GENERIC
    assert f"{ADDRESS} was assigned, but {one.metadata.url} does not show it" in why
    assert time.monotonic() - begun < 15.0
    assert one("monitor") == (NOT_RUNNING, "")


def test_a_droplet_that_cannot_learn_its_number_takes_nothing(
    api: DigitalOceanApi, one: Droplet
) -> None:
    one.metadata.status = 503
    code, why = one("start", timeout_s=8)
    assert (code, why) == (GENERIC, f"{one.metadata.url} does not say which droplet this is")
    assert api.asked == []
    assert one("start", droplet=str(one.id)) == (SUCCESS, "")
    assert holder(api) == one.id


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (failing(500), "answered by 500"),
        (DROPPED, "is not answered: the connection broke off"),
        (too_many(600), "asked too often, again in 600 s"),
        (failing(403), "lacks a scope"),
    ],
    ids=["500", "dropped", "429", "403"],
)
def test_an_api_that_does_not_do_it_is_one_line_in_time(
    api: DigitalOceanApi, one: Droplet, fault: Fault, said: str
) -> None:
    api.faults.set(fault, "POST", MOVE)
    begun = time.monotonic()
    code, why = one("start", timeout_s=12)
    assert time.monotonic() - begun < 17.0
    assert code == GENERIC
    assert why.startswith(f"{ADDRESS} could not be taken: DigitalOcean")
    assert said in why
    assert one("monitor") == (NOT_RUNNING, "")
    api.faults.clear()
    assert one("start") == (SUCCESS, "")


def test_the_token_is_in_no_argument_and_no_message(
    api: DigitalOceanApi, one: Droplet, tmp_path: Path
) -> None:
    """Seen by a program in place of secretary, which notes what it is given."""
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/argv\nenv >{tmp_path}/env\nexit 1\n')
    spy.chmod(0o755)
    assert one("start", secretary=str(spy))[0] == GENERIC
    (token,) = api.account.tokens
    assert f"--token-file {one.params['token_file']}" in (tmp_path / "argv").read_text()
    for noted in ("argv", "env"):
        assert token not in (tmp_path / noted).read_text()
    api.account.tokens = {"dop_v1_another"}
    code, why = one("start")
    assert code == GENERIC
    assert "the token is rejected" in why
    assert token not in one.said


def test_a_token_that_others_may_read_is_refused(one: Droplet) -> None:
    file = one.params["token_file"]
    for mode in (0o644, 0o640):
        os.chmod(file, mode)
        why = f"token_file: {file}: mode {mode:o} lets others read it; chmod 600 {file}"
        assert one("validate-all") == (PERM, why)
        assert one("start") == (PERM, why)
        assert one("monitor") == (NOT_RUNNING, "")
        assert one("stop") == (SUCCESS, "")


def test_a_parameter_that_cannot_be_meant_is_named(one: Droplet, tmp_path: Path) -> None:
    for name, value, allowed in (
        ("ip", "", "an IPv4 address, such as 203.0.113.7"),
        ("ip", "203.0.113", "an IPv4 address"),
        ("ip", "203.0.113.7/32", "an IPv4 address"),
        ("ip", "2001:db8::7", "an IPv4 address"),
        ("droplet", "lb-1", "a number, or nothing"),
        ("metadata", "169.254.169.254", "a URL"),
        ("metadata_timeout", "2s", "whole seconds from 1 to 99"),
    ):
        code, why = one("validate-all", 20, **{name: value})
        assert code == CONFIGURED
        assert f'{name}: found "{value}"; allowed: {allowed}' in why
    for name, value, code, why in (
        ("secretary", "/nowhere", INSTALLED, "/nowhere is missing: install it on this node"),
        ("token_file", "/nowhere", ARGS, "token_file: /nowhere: there is no such file"),
    ):
        assert one("validate-all", 20, **{name: value}) == (code, why)
    empty = tmp_path / "empty"
    empty.touch(0o600)
    code, why = one("start", token_file=str(empty))
    assert code == ARGS
    assert f"{empty}: does not hold a token" in why
