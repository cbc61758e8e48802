"""DigitalOcean through the real client: every fault at every call, and the token at every call."""

import contextlib
import logging
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused
from secretary.scaler.ports import Provider
from secretary.scaler.providers.digitalocean import open_digitalocean
from tests.clouds.digitalocean import RESET_S, DigitalOceanApi
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
from tests.clouds.digitalocean_fixtures import NAME, TAG, api, group, impatient, provider, server

__all__ = ["api", "impatient", "provider", "server"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request that an operation makes, and what it changes when it is carried out."""

    method: str
    path: str
    operation: Callable[[Provider, str], object]
    is_done: Callable[[DigitalOceanApi, str], bool] | None = None

    def count(self, api: DigitalOceanApi) -> int:
        return sum(
            re.fullmatch(f"{self.method} {self.path}", each) is not None for each in api.asked
        )


def _has_two(api: DigitalOceanApi, _: str) -> bool:
    return len(api.account.droplets) == 2


def _is_gone(api: DigitalOceanApi, id_: str) -> bool:
    return int(id_) not in api.account.droplets


def _is_tagged(api: DigitalOceanApi, id_: str) -> bool:
    return TAG in api.account.droplets[int(id_)].tags


def _is_untagged(api: DigitalOceanApi, id_: str) -> bool:
    return not _is_tagged(api, id_)


def _has_tag(api: DigitalOceanApi, _: str) -> bool:
    return TAG in api.account.tags


ONE = r"/v2/droplets/\d+"
RESOURCES = "/v2/tags/[^/]+/resources"
CPU = "/v2/monitoring/metrics/droplet/cpu"
CALLS = {
    "create: is the name free": Call("GET", "/v2/droplets", lambda p, _: p.create("new")),
    "create: images": Call("GET", "/v2/images", lambda p, _: p.create("new")),
    "create": Call("POST", "/v2/droplets", lambda p, _: p.create("new"), _has_two),
    "machines": Call("GET", "/v2/droplets", lambda p, _: p.machines()),
    "delete": Call("DELETE", ONE, lambda p, id_: p.delete(id_), _is_gone),
    "find by id": Call("GET", ONE, lambda p, id_: p.find(id_)),
    "find by name": Call("GET", "/v2/droplets", lambda p, _: p.find(NAME)),
    "tag": Call("POST", RESOURCES, lambda p, id_: p.tag(id_), _is_tagged),
    "untag": Call("DELETE", RESOURCES, lambda p, id_: p.untag(id_), _is_untagged),
    "cpu": Call("GET", CPU, lambda p, id_: p.cpu([id_])),
}
FIRST_TAG = {
    "first tag: is it there": Call("GET", ONE, lambda p, id_: p.tag(id_)),
    "first tag: make it": Call("POST", "/v2/tags", lambda p, id_: p.tag(id_), _has_tag),
}
ECHO = b'{"id":"x","message":"no: Authorization: Bearer dop_v1_right"}'
FAULTS: dict[str, tuple[Fault, type[CloudError]]] = {
    "429": (too_many(7), CloudBusy),
    "429 without Retry-After": (failing(429), CloudBusy),
    "pending event": (Fault(422, message="Droplet already has a pending event."), CloudBusy),
    "500": (failing(500), CloudAway),
    "503": (failing(503), CloudAway),
    "504": (failing(504), CloudAway),
    "500, applied": (failing(500, is_applied=True), CloudAway),
    "504, applied": (failing(504, is_applied=True), CloudAway),
    "dropped": (DROPPED, CloudAway),
    "dropped, applied": (APPLIED_AND_DROPPED, CloudAway),
    "slow": (Fault(500, delay_s=60.0), CloudAway),
    "slow, applied": (Fault(500, delay_s=60.0, is_applied=True), CloudAway),
    "dripping": (DRIPPING, CloudAway),
    "408": (failing(408), CloudAway),
    "gateway page": (GATEWAY_PAGE, CloudAway),
    "not JSON": (NOT_JSON, CloudAway),
    "cut short": (Fault(200, {"Content-Length": "500"}, b'{"droplets": ['), CloudAway),
    "another success": (Fault(206, body=b'{"droplets": []}'), CloudAway),
    "odd limits": (Fault(200, {"ratelimit-limit": "many"}, b"{}"), CloudAway),
    "redirect": (Fault(307, {"Location": "/v2/account"}, b"{}"), CloudAway),
    "400": (failing(400), CloudRefused),
    "token rejected": (failing(401), CloudRefused),
    "scope missing": (failing(403), CloudRefused),
    "409": (failing(409), CloudRefused),
    "422": (failing(422), CloudRefused),
    "echo": (Fault(400, body=ECHO), CloudRefused),
}


@pytest.mark.parametrize("fault_name", FAULTS)
@pytest.mark.parametrize("call_name", [*CALLS, *FIRST_TAG])
def test_every_fault_at_every_call_is_the_right_error_and_nothing_is_asked_twice(
    api: DigitalOceanApi,
    provider: Provider,
    impatient: Provider,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    call_name: str,
    fault_name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    call = (CALLS | FIRST_TAG)[call_name]
    fault, kind = FAULTS[fault_name]
    tags = [TAG] if call_name in ("untag", "machines") else []
    id_ = str(api.account.made(NAME, *tags).id)
    if call_name not in FIRST_TAG:
        api.account.tags.add(TAG)
    api.faults.set(fault, call.method, call.path)
    begun = time.monotonic()
    is_endless = fault.drip or fault.delay_s > 0
    with pytest.raises(kind) as raised:
        call.operation(impatient if is_endless else provider, id_)
    assert time.monotonic() - begun < 5.0
    assert type(raised.value) is kind or kind is CloudRefused
    message = str(raised.value)
    assert "\n" not in message
    assert message.isprintable()
    assert "DigitalOcean" in message
    if fault_name not in ("another success", "odd limits"):  # which pydo alone finds out
        assert re.search(f"{call.method} {call.path}", message)
    assert ("is not JSON" in message) is (fault_name == "not JSON")
    assert call.count(api) == 1
    if call.is_done is not None:
        assert call.is_done(api, id_) is fault.is_applied
    if isinstance(raised.value, CloudBusy):
        wanted_s = {"429": 7, "pending event": 5}.get(fault_name, RESET_S)
        assert raised.value.retry_after_s == pytest.approx(wanted_s, abs=2)

    told = "".join(traceback.format_exception(raised.value))
    (token,) = api.account.tokens
    assert token not in told + caplog.text + "".join(capfd.readouterr())

    api.faults.clear()
    if call.is_done is None or not fault.is_applied:
        call.operation(provider, id_)  # the next attempt finds nothing in its way


@pytest.mark.parametrize("call_name", [name for name in CALLS if CALLS[name].is_done])
def test_what_was_carried_out_without_an_answer_is_harmless_to_repeat(
    api: DigitalOceanApi, provider: Provider, call_name: str
) -> None:
    call = CALLS[call_name]
    api.account.tags.add(TAG)
    id_ = str(api.account.made(NAME, *([TAG] if call_name == "untag" else [])).id)
    api.faults.set(APPLIED_AND_DROPPED, call.method, call.path)
    with pytest.raises(CloudAway):
        call.operation(provider, id_)
    api.faults.clear()
    assert call.is_done is not None
    assert call.is_done(api, id_)
    if call_name == "create":
        with pytest.raises(CloudRefused, match="named new already"):
            call.operation(provider, id_)
    else:
        call.operation(provider, id_)
    assert call.is_done(api, id_)


@pytest.mark.parametrize("call_name", CALLS)
def test_a_token_that_is_rejected_is_read_again_once(
    api: DigitalOceanApi, tmp_path: Path, call_name: str
) -> None:
    file = tmp_path / "token"
    file.write_text("dop_v1_old")
    environ = {"DIGITALOCEAN_API_URL": api.url, "DIGITALOCEAN_TOKEN_FILE": str(file)}
    api.account.tags.add(TAG)
    id_ = str(api.account.made(NAME).id)
    call = CALLS[call_name]
    with contextlib.closing(open_digitalocean(group(), environ)) as provider:
        with pytest.raises(CloudRefused, match=r"401.*DIGITALOCEAN_TOKEN_FILE") as raised:
            call.operation(provider, id_)
        assert "dop_v1_old" not in str(raised.value)
        assert len(api.asked) == 1
        api.asked.clear()
        file.write_text("dop_v1_right\n")
        call.operation(provider, id_)
        assert api.asked[0] == api.asked[1]
        if call.is_done is not None:
            assert call.is_done(api, id_)
