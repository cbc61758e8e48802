"""What is to be done next with a machine, from what is known of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from secretary.core.machine import Machine, MachineState
from secretary.core.rotation import Word
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler import lifecycle
from secretary.scaler.lifecycle import Become, Delete, Drain, Fail, Forget, Sight, Stay, step
from secretary.scaler.ports import Seen, Standing

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
GROUP = ScaleGroup(
    name="web", service="web", provider=ProviderName.DOCKER, machine=MachineSettings(image="app")
)
SEEN = Seen("7", "web-1", Standing.ACTIVE, "10.0.0.1", NOW, "small")
BROKEN = Seen("7", "web-1", Standing.BROKEN, "10.0.0.1", NOW, "small", detail="out of memory")
MACHINE = Machine(
    id="web-1", group="web", provider="docker", state=MachineState.SERVING, requested=NOW,
    since=NOW, asked=NOW, provider_id="7", address="10.0.0.1",
)  # fmt: skip
LONG = timedelta(hours=2)
STATES = {state.value: state for state in MachineState}


def sight(state: str, seen: Seen | None = SEEN, **known: Any) -> Sight:
    """Return a machine in this state, for `age` already; the rest is as in service."""
    age = known.pop("age", timedelta(0))
    machine = replace(MACHINE, state=STATES[state], since=NOW - age, **known.pop("machine", {}))
    given = {
        "word": Word.APPLIED,
        "is_draining": False,
        "is_drained": False,
        "is_succeeded": False,
        **known,
    }
    return Sight(machine, seen, now=NOW, **given)


@pytest.mark.parametrize("state", ["requested", "booting", "serving", "draining"])
def test_a_list_that_lags_behind_is_not_believed_at_once(state: str) -> None:
    """A cloud may not show yet what it has just made."""
    assert step(sight(state, None, word=Word.ABSENT), GROUP) in (
        Stay(), Become(MachineState.BOOTING, "its record is gone", None),
    )  # fmt: skip


def test_a_machine_that_breaks_is_replaced() -> None:
    for state in ("serving", "booting"):
        silent = sight(state, BROKEN, word=Word.ABSENT)
        assert step(silent, GROUP) == Fail("broken: out of memory")
    assert step(sight("serving", BROKEN), GROUP) == Stay(), "its secretary says that it lives"


def test_one_whose_record_goes_gets_the_time_to_boot_again() -> None:
    gone = sight("serving", word=Word.ABSENT, age=LONG)
    assert step(gone, GROUP) == Become(MachineState.BOOTING, "its record is gone", SEEN)
    slow = sight("booting", word=Word.ABSENT, age=timedelta(seconds=GROUP.boot_timeout_s))
    assert isinstance(step(slow, GROUP), Fail)


def test_one_that_a_renderer_holds_back_is_not_replaced() -> None:
    slow = step(sight("booting", word=Word.PENDING, age=LONG), GROUP)
    assert isinstance(slow, Become)
    assert slow.state is MachineState.BOOTING


def test_one_that_no_list_shows_is_not_forgotten_while_its_secretary_speaks() -> None:
    assert step(sight("serving", None, age=LONG), GROUP) == Stay()
    gone = step(sight("serving", None, age=LONG, word=Word.ABSENT), GROUP)
    assert gone == Forget("deleted behind our back")


def test_a_drain_is_acknowledged_and_given_time_before_the_machine_is_deleted() -> None:
    assert step(sight("draining"), GROUP) == Drain("10.0.0.1")
    assert step(sight("draining", is_draining=True), GROUP) == Stay()
    drained = step(sight("draining", is_draining=True, is_drained=True), GROUP)
    assert drained == Become(MachineState.DRAINING, "", drained=True)
    since = {"drained": NOW - timedelta(seconds=GROUP.drain_time_s - 1)}
    assert step(sight("draining", is_draining=True, machine=since), GROUP) == Stay()
    since = {"drained": NOW - timedelta(seconds=GROUP.drain_time_s)}
    over = step(sight("draining", is_draining=True, machine=since), GROUP)
    assert over == Become(MachineState.DELETING, "")


def test_a_renderer_that_never_applies_a_drain_is_waited_for() -> None:
    assert step(sight("draining", is_draining=True, age=LONG), GROUP) == Stay()


def test_one_without_an_address_has_nothing_to_drain() -> None:
    none = {"address": None}
    boots = Seen("7", "web-1", Standing.BOOTING, None, NOW, "small")
    over = step(sight("draining", boots, machine=none), GROUP)
    assert over == Become(MachineState.DELETING, "")


def test_a_record_that_outlives_its_machine_stays_out_of_rotation() -> None:
    assert step(sight("deleting"), GROUP) == Delete("7")
    assert step(sight("deleting", None), GROUP) == Stay()
    assert step(sight("deleting", None, word=Word.ABSENT), GROUP) == Forget("deleted")
    assert step(sight("deleting", None, age=lifecycle.PATIENCE), GROUP) == Forget("deleted")


def test_an_address_that_another_machine_has_by_now_is_free_at_once() -> None:
    assert step(sight("deleting", None, is_succeeded=True), GROUP) == Forget("deleted")


def test_a_failure_is_deleted_and_remembered_for_an_hour() -> None:
    assert step(sight("failed", word=Word.ABSENT), GROUP) == Delete("7")
    assert step(sight("failed", None), GROUP) == Stay()
    assert step(sight("failed", None, age=LONG), GROUP) == Forget("failed an hour ago")


def test_a_request_whose_answer_was_lost_is_looked_for_and_then_given_up() -> None:
    asked = {"asked": NOW - lifecycle.SETTLE}
    assert isinstance(step(sight("requested", None, machine=asked), GROUP), Fail)
    assert step(sight("requested", SEEN, machine=asked), GROUP) == Become(
        MachineState.BOOTING, seen=SEEN
    )


@pytest.mark.parametrize("hours", [-2, 2], ids=["back", "forward"])
def test_a_clock_that_was_set_lets_no_time_run_out(hours: int) -> None:
    jumped: dict[str, Any] = {"age": timedelta(hours=hours), "known": timedelta(seconds=10)}
    assert step(sight("booting", word=Word.ABSENT, **jumped), GROUP) == Stay()
    asked = {"asked": NOW - timedelta(hours=hours)}
    assert step(sight("requested", None, machine=asked, **jumped), GROUP) == Stay()
    jumped["known"] = timedelta(seconds=GROUP.boot_timeout_s)
    assert isinstance(step(sight("booting", word=Word.ABSENT, **jumped), GROUP), Fail)
    assert isinstance(step(sight("requested", None, machine=asked, **jumped), GROUP), Fail)


def test_one_that_has_failed_and_is_in_rotation_again_leaves_in_order() -> None:
    for word in (Word.APPLIED, Word.PENDING, Word.DRAINED):
        back = step(sight("failed", word=word), GROUP)
        assert isinstance(back, Become)
        assert back.state is MachineState.DRAINING
    assert step(sight("failed", word=Word.ABSENT), GROUP) == Delete("7")


def test_where_a_late_one_is_becomes_known_before_it_is_deleted() -> None:
    """It may be in rotation by then."""
    late = sight("failed", word=Word.ABSENT, machine={"address": None, "provider_id": None})
    assert step(late, GROUP) == Become(MachineState.FAILED, "", SEEN)


def test_one_whose_address_has_changed_is_drained_at_the_new_one() -> None:
    moved = sight("draining", machine={"address": "10.0.0.9"})
    assert step(moved, GROUP) == Become(MachineState.DRAINING, "", SEEN)
    begun = sight("draining", is_draining=True, machine={"address": "10.0.0.9"})
    assert step(begun, GROUP) == Stay()


def test_the_address_of_one_that_has_ended_is_not_drained_when_another_has_it() -> None:
    ended = Seen("7", "web-1", Standing.BROKEN, None, NOW, "small")
    assert step(sight("failed", ended, is_succeeded=True), GROUP) == Delete("7")
    over = step(sight("draining", ended, is_succeeded=True), GROUP)
    assert over == Become(MachineState.DELETING, "")
