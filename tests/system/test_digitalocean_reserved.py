"""DigitalOcean's reserved address through the real client: who has it, and giving it to another."""

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.cli.program import main
from secretary.cli.surroundings import Surroundings
from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused, SettingsError
from secretary.scaler.providers.digitalocean_door import Door
from secretary.scaler.providers.digitalocean_reserved import (
    Assigned,
    Held,
    ReservedAddress,
    open_reserved,
)
from secretary.scaler.providers.digitalocean_token import Token
from tests.clouds.digitalocean import DigitalOceanApi
from tests.clouds.digitalocean_faults import (
    APPLIED_AND_DROPPED,
    DRIPPING,
    DROPPED,
    GATEWAY_PAGE,
    NOT_JSON,
    Fault,
    failing,
    too_many,
)
from tests.clouds.digitalocean_fixtures import RESERVED, api, reserved, server

__all__ = ["api", "reserved", "server"]

LOOK = f"/v2/reserved_ips/{RESERVED}"
MOVE = f"{LOOK}/actions"
ACTION = rf"{MOVE}/\d+"
LOOKED, MOVED = f"GET {LOOK}", f"POST {MOVE}"
ENOUGH_S = 20.0


@contextlib.contextmanager
def hurried(api: DigitalOceanApi, fault: Fault | None = None) -> Iterator[ReservedAddress]:
    """Open the address to look at it often, and to wait little for a `fault`'s answer."""
    is_endless = fault is not None and (fault.drip or fault.delay_s > 0)
    door = Door(api.url, Token(api.environ()))
    one_s = 1.0 if is_endless else 5.0
    with contextlib.closing(ReservedAddress(RESERVED, door, one_s, look_s=0.05)) as opened:
        yield opened


def holder(api: DigitalOceanApi) -> int | None:
    found = api.account.reserved.get(RESERVED)
    assert found is not None
    return found.droplet_id


def test_it_is_given_to_a_droplet_and_that_is_waited_for(
    api: DigitalOceanApi, reserved: ReservedAddress
) -> None:
    one, two = api.account.made("lb-1").id, api.account.made("lb-2").id
    api.account.reserved.action_s = 0.7
    assert reserved.held() == Held(None, "", is_locked=False)
    assert reserved.assign(one, ENOUGH_S) == Assigned(changed=True)
    assert holder(api) == one
    assert reserved.held() == Held(one, "lb-1", is_locked=False)
    assert reserved.assign(two, ENOUGH_S) == Assigned(changed=True)
    assert holder(api) == two


def test_where_it_is_already_nothing_is_changed(
    api: DigitalOceanApi, reserved: ReservedAddress
) -> None:
    one = api.account.made("lb-1").id
    reserved.assign(one, ENOUGH_S)
    api.asked.clear()
    assert reserved.assign(one, ENOUGH_S) == Assigned(changed=False)
    assert api.asked == [LOOKED]


def test_another_s_action_is_waited_for_and_then_undone(
    api: DigitalOceanApi, reserved: ReservedAddress
) -> None:
    one, two = api.account.made("lb-1").id, api.account.made("lb-2").id
    api.account.reserved.action_s = 0.7
    found = api.account.reserved.get(RESERVED)
    assert found is not None
    api.account.reserved.begin(found, one)
    assert reserved.held() == Held(None, "", is_locked=True)
    assert reserved.assign(two, ENOUGH_S) == Assigned(changed=True)
    assert holder(api) == two
    assert api.asked.count(MOVED) == 1


def test_an_action_that_ends_in_an_error_is_asked_for_again(
    api: DigitalOceanApi, reserved: ReservedAddress
) -> None:
    one = api.account.made("lb-1").id
    api.account.reserved.failing = 2
    assert reserved.assign(one, ENOUGH_S) == Assigned(changed=True)
    assert holder(api) == one
    assert api.asked.count(MOVED) == 3


def test_an_action_that_cannot_be_asked_for_is_seen_by_its_effect(
    api: DigitalOceanApi, reserved: ReservedAddress
) -> None:
    one = api.account.made("lb-1").id
    api.account.reserved.hides_actions = True
    api.account.reserved.action_s = 0.7
    assert reserved.assign(one, ENOUGH_S) == Assigned(changed=True)
    assert holder(api) == one
    assert api.asked.count(MOVED) == 1


def test_what_never_ends_is_said_with_what_is_in_the_way(
    api: DigitalOceanApi, reserved: ReservedAddress
) -> None:
    one = api.account.made("lb-1").id
    api.account.reserved.action_s = 3600.0
    said = rf"{RESERVED} is not at droplet {one} after 1.5 s: action \d+ is still going on"
    with pytest.raises(CloudAway, match=said):
        reserved.assign(one, 1.5)
    with pytest.raises(CloudAway, match=r"after 1\.5 s: another action on it goes on"):
        reserved.assign(one, 1.5)
    assert api.asked.count(MOVED) == 1


def test_a_droplet_that_is_busy_with_something_else_is_waited_for(
    api: DigitalOceanApi, reserved: ReservedAddress
) -> None:
    one = api.account.made("lb-1").id
    api.faults.once(Fault(422, message="Droplet already has a pending event."), "POST", MOVE)
    assert reserved.assign(one, ENOUGH_S) == Assigned(changed=True)
    assert holder(api) == one


FAULTS = {
    "429": too_many(1),
    "500": failing(500),
    "503": failing(503),
    "504, applied": failing(504, is_applied=True),
    "dropped": DROPPED,
    "dropped, applied": APPLIED_AND_DROPPED,
    "slow": Fault(500, delay_s=60.0),
    "slow, applied": Fault(500, delay_s=60.0, is_applied=True),
    "dripping": DRIPPING,
    "gateway page": GATEWAY_PAGE,
    "not JSON": NOT_JSON,
    "another success": Fault(206, body=b"{}"),
}
CALLS = {"look": ("GET", LOOK), "move": ("POST", MOVE), "action": ("GET", ACTION)}


@pytest.mark.parametrize("fault_name", FAULTS)
@pytest.mark.parametrize("call_name", CALLS)
def test_a_fault_that_passes_is_outlived_and_nothing_is_repeated_without_a_look(
    api: DigitalOceanApi, reserved: ReservedAddress, call_name: str, fault_name: str
) -> None:
    one = api.account.made("lb-1").id
    api.faults.once(FAULTS[fault_name], *CALLS[call_name])
    with hurried(api, FAULTS[fault_name]) as impatient:
        assert impatient.assign(one, ENOUGH_S) == Assigned(changed=True)
    assert holder(api) == one
    before = "GET"
    for asked in api.asked:
        assert not (asked == MOVED and before == MOVED)
        before = asked
    is_applied = FAULTS[fault_name].is_applied
    assert api.asked.count(MOVED) == (2 if call_name == "move" and not is_applied else 1)


LASTING: dict[str, tuple[Fault, type[CloudError], str]] = {
    "429, too long": (too_many(600), CloudBusy, "429.*asked too often, again in 600 s"),
    "500": (failing(500), CloudAway, "after 2 s: .*answered by 500: made by the test"),
    "dropped": (DROPPED, CloudAway, "after 2 s: .*is not answered: the connection broke off"),
    "slow": (Fault(500, delay_s=60.0), CloudAway, "after 2 s: .*nothing, or not all, came in time"),
    "not JSON": (NOT_JSON, CloudAway, "after 2 s: .*is not JSON"),
    "token rejected": (failing(401), CloudRefused, "401.*the token is rejected"),
    "scope missing": (failing(403), CloudRefused, "403.*lacks a scope"),
    "422": (failing(422), CloudRefused, "422: made by the test"),
}


@pytest.mark.parametrize("fault_name", LASTING)
@pytest.mark.parametrize("call_name", CALLS)
def test_a_fault_that_lasts_is_one_line_in_time_and_the_token_is_not_in_it(
    api: DigitalOceanApi,
    reserved: ReservedAddress,
    capfd: pytest.CaptureFixture[str],
    call_name: str,
    fault_name: str,
) -> None:
    one = api.account.made("lb-1").id
    api.account.reserved.action_s = 3600.0  # so that the action is asked for
    fault, kind, said = LASTING[fault_name]
    api.faults.set(fault, *CALLS[call_name])
    begun = time.monotonic()
    with hurried(api, fault) as impatient, pytest.raises(kind, match=said) as raised:
        impatient.assign(one, 2.0)
    assert time.monotonic() - begun < 7.0
    message = str(raised.value)
    assert message.isprintable()
    assert "DigitalOcean" in message
    assert re.search(rf"{CALLS[call_name][0]} {CALLS[call_name][1]} ", message)
    (token,) = api.account.tokens
    assert token not in message + "".join(capfd.readouterr())


def test_what_somebody_must_mend_is_said_at_once(
    api: DigitalOceanApi, reserved: ReservedAddress
) -> None:
    with pytest.raises(CloudRefused, match=rf"Droplet is not available.*\({RESERVED} to droplet 9"):
        reserved.assign(9, ENOUGH_S)
    far = api.account.made("lb-3")
    far.region = "nyc3"
    with pytest.raises(CloudRefused, match="not in the same region"):
        reserved.assign(far.id, ENOUGH_S)
    with (
        contextlib.closing(open_reserved("203.0.113.8", api.environ())) as other,
        pytest.raises(CloudRefused, match=r"404.*203\.0\.113\.8 is not reserved for the account"),
    ):
        other.assign(far.id, ENOUGH_S)
    api.account.reserved.hides_droplets = True
    with pytest.raises(CloudRefused, match="lacks the scope droplet:read"):
        reserved.held()


@pytest.mark.parametrize("address", ["", "203.0.113", "203.0.113.7/32", "2001:db8::7", "../x"])
def test_what_is_no_address_is_never_asked_for(api: DigitalOceanApi, address: str) -> None:
    with pytest.raises(SettingsError, match="is no IPv4 address"):
        open_reserved(address, api.environ())
    assert api.asked == []


def test_a_token_file_that_others_may_read_is_refused(
    api: DigitalOceanApi, reserved: ReservedAddress, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("dop_v1_right\n")
    environ = {"DIGITALOCEAN_API_URL": api.url, "DIGITALOCEAN_TOKEN": "another"}
    for mode in (0o644, 0o640, 0o604, 0o620):
        file.chmod(mode)
        with pytest.raises(
            SettingsError, match=rf"--token-file: {file}: mode {mode:04o} lets others"
        ):
            open_reserved(RESERVED, environ, str(file))
    file.chmod(0o600)
    with contextlib.closing(open_reserved(RESERVED, environ, str(file))) as opened:
        assert opened.held().droplet_id is None


def said(
    api: DigitalOceanApi, capsys: pytest.CaptureFixture[str], *arguments: str, **environ: str
) -> tuple[int, str]:
    """Return the exit status of `secretary ha reserved-ip`, and all that it says."""
    around = Surroundings({**api.environ(), **environ})
    status = main(["ha", "reserved-ip", *arguments], around)
    told = capsys.readouterr()
    return status, told.out + told.err


def test_the_verb_shows_and_assigns(
    api: DigitalOceanApi, reserved: ReservedAddress, capsys: pytest.CaptureFixture[str]
) -> None:
    one = api.account.made("lb-1").id
    assign = ("assign", RESERVED, "--droplet", str(one))
    assert said(api, capsys, "show", RESERVED) == (0, f"{RESERVED}: nobody has it\n")
    assert said(api, capsys, *assign) == (0, f"{RESERVED}: droplet {one} has it now\n")
    assert said(api, capsys, *assign) == (0, f"{RESERVED}: droplet {one} has it already\n")
    shown = f"{RESERVED}: droplet {one} (lb-1) has it"
    assert said(api, capsys, "show", RESERVED) == (0, f"{shown}\n")
    found = api.account.reserved.get(RESERVED)
    assert found is not None
    api.account.reserved.action_s = 3600.0
    api.account.reserved.begin(found, one)
    assert said(api, capsys, "show", RESERVED) == (0, f"{shown}; an action on it goes on\n")


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (("show", "lb"), 2, "lb: is no IPv4 address"),
        (("assign", RESERVED), 2, "Missing option '--droplet'"),
        (("assign", RESERVED, "--droplet", "lb-1"), 2, "Invalid value for '--droplet'"),
        (
            ("assign", RESERVED, "--droplet", "1", "--timeout", "0"),
            2,
            "--timeout: got '0', allowed",
        ),
        (("show", RESERVED, "--token-file", "/nowhere"), 2, "--token-file: /nowhere: No such file"),
        (("assign", RESERVED, "--droplet", "1"), 1, "422: Droplet is not available."),
        (("show", "203.0.113.9"), 1, "203.0.113.9 is not reserved for the account"),
    ],
)
def test_what_is_wrong_is_one_line_of_the_verb(
    api: DigitalOceanApi,
    reserved: ReservedAddress,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    line: str,
) -> None:
    assert reserved.held().droplet_id is None
    code, told = said(api, capsys, *arguments)
    assert code == status
    assert told.startswith("secretary: ")
    assert told.count("\n") == 1
    assert line in told


def test_without_a_token_nothing_is_asked(
    api: DigitalOceanApi, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = said(api, capsys, "show", RESERVED, DIGITALOCEAN_TOKEN="")
    assert (code, "DigitalOcean needs a token" in told) == (2, True)
    assert api.asked == []
