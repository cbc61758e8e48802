"""What an operator may ask for, and what becomes of it beside a scaler that runs."""

import threading

import pytest
from msgspec.structs import replace

from secretary.core.errors import CloudBusy, CloudRefused, ScaleError
from secretary.core.machine import MachineState
from secretary.core.scaling import Choice, ProviderName
from tests.system.scaling_bed import Bed

SERVING = MachineState.SERVING


def numbers(bed: Bed) -> dict[int, str]:
    return {machine.number or 0: machine.id for machine in bed.stock().values()}


def test_a_number_is_of_one_machine_and_never_of_another(bed: Bed) -> None:
    """What `ls` has shown holds, whoever has come and gone since."""
    bed.up(3)
    shown = numbers(bed)
    assert sorted(shown) == [1, 2, 3]
    with bed.scaler() as (_, desk):
        desk.down("2")
    bed.turns_until(lambda: len(bed.stock()) == 2)
    with bed.scaler() as (_, desk):
        assert desk.down("3") == [shown[3]]
        with pytest.raises(ScaleError, match=r"2: .* has no such machine"):
            desk.down("2")
    bed.turns_until(lambda: len(bed.stock()) == 1)
    with bed.scaler() as (_, desk):
        desk.up(2)
    assert sorted(numbers(bed)) == [1, 4, 5]


def test_who_takes_a_failed_one_s_place_has_a_number_of_its_own(bed: Bed) -> None:
    bed.up(2)
    broken = numbers(bed)[1]
    bed.cloud.spoil(broken)
    bed.deregister(bed.stock()[broken].address or "")
    bed.turns_until(lambda: not bed.cloud.named(broken))
    assert sorted(numbers(bed)) == [1, 2, 3]
    assert bed.stock()[numbers(bed)[3]].replaces == broken
    bed.turns_until(lambda: bed.count(SERVING) == 2)
    assert bed.stock()[numbers(bed)[3]].replaces is None


def test_a_cloud_that_is_busy_does_not_hide_why_a_machine_is_wanted(bed: Bed) -> None:
    bed.up(2)
    broken = numbers(bed)[1]
    bed.cloud.spoil(broken)
    bed.deregister(bed.stock()[broken].address or "")
    bed.cloud.fail("create", CloudBusy("too many", 1))
    bed.turns_until(lambda: any(machine.trouble for machine in bed.stock().values()))
    (waiting,) = (machine for machine in bed.stock().values() if machine.trouble)
    assert waiting.words == f"in place of {broken}; too many"
    bed.turns_until(lambda: bed.states()[waiting.id] == "booting")
    assert bed.stock()[waiting.id].words == f"in place of {broken}"


def test_the_one_with_the_least_load_goes_first_where_that_was_chosen(bed: Bed) -> None:
    bed.up(3)
    bed.end()
    bed.group = replace(bed.group, first=Choice.LEAST_LOADED)
    names = numbers(bed)
    bed.cloud.load = {names[1]: 50.0, names[2]: 5.0, names[3]: 20.0}
    with bed.scaler() as (_, desk):
        assert desk.down(None) == [names[2]]


def test_flags_are_refused_where_a_scaler_makes_the_machines_by_its_own(bed: Bed) -> None:
    with bed.scaler() as (engine, running):
        running.act(["--image"])
        assert engine.hold()
        with bed.scaler() as (_, desk):
            desk.act([])
            with pytest.raises(ScaleError, match=r"^--image, --size: .* leave the flags out$"):
                desk.act(["--image", "--size"])


def test_a_machine_of_another_provider_is_told_of_and_left_alone(bed: Bed) -> None:
    """As after `provider` was changed in scale.toml."""
    bed.up(2)
    first = sorted(bed.stock())[0]
    bed.end()
    bed.group = replace(bed.group, provider=ProviderName.OPENSTACK)
    with bed.scaler() as (_, desk):
        with pytest.raises(ScaleError, match=f"{first}: is docker's, and the provider of .* open"):
            desk.down(first)
        with pytest.raises(ScaleError, match="is docker's"):
            desk.down(None)
        desk.up(1)
    bed.turns_until(lambda: bed.count(SERVING) == 3)
    with bed.scaler() as (_, desk):
        (name,) = desk.down(None)
    assert bed.stock()[name].provider == "openstack"
    with bed.scaler() as (_, desk):
        desk.forget(first)
    assert first not in bed.stock()


def test_a_machine_can_be_forgotten_beside_a_scaler_that_runs(bed: Bed) -> None:
    bed.up(3)
    first, second, third = sorted(bed.stock())
    with bed.scaler() as (running, _), bed.scaler() as (_, desk):
        assert running.turn().is_held
        desk.forget(first)
        assert not running.turn().alarms
        assert sorted(bed.stock()) == [second, third]
        desk.down(second)
        with pytest.raises(ScaleError, match=f"{second}: is draining, by a scaler on"):
            desk.forget(second)
    assert len(bed.cloud.names) == 3


def test_one_that_was_to_leave_and_is_forgotten_is_in_rotation_again(bed: Bed) -> None:
    bed.up(2)
    with bed.scaler() as (_, desk):
        (going,) = desk.down(None)
    drain = f"/secretary/drain/web/{bed.stock()[going].address}"
    bed.turns_until(lambda: bed.etcd.get(drain) is not None)
    with bed.scaler() as (_, desk):
        desk.forget(going)
    assert bed.etcd.get(drain) is None
    assert bed.cloud.named(going)


def test_a_group_without_machines_has_none_to_lose(bed: Bed) -> None:
    with bed.scaler() as (_, desk), pytest.raises(ScaleError, match="no machine that could go"):
        desk.down(None)


def test_a_delete_that_is_refused_is_asked_again_after_a_while_that_grows(bed: Bed) -> None:
    bed.up(2)
    bed.cloud.fail("delete", CloudRefused("delete: it is protected"), times=3)
    with bed.scaler() as (_, desk):
        (name,) = desk.down(None)
    bed.turns_until(lambda: bed.cloud.count("delete") == 1)
    asked: list[int] = []
    for second in range(100):
        report = bed.turn()
        if bed.cloud.count("delete") > len(asked) + 1:
            asked.append(second)
        if not bed.cloud.named(name):
            break
        assert any(f"{name}: delete: it is protected" in alarm for alarm in report.alarms)
        bed.pass_s(1)
    assert asked[0] < asked[1] - asked[0] < asked[2] - asked[1]
    assert not bed.stock()[name].trouble


def test_others_get_their_turn_while_a_machine_is_slow_in_the_making(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secretary.scaler.calls.RENEW_S", 0.02)
    called = threading.Event()
    with bed.scaler() as (engine, desk):
        desk.up(1)
        with bed.cloud.hold("create"):
            turn = threading.Thread(target=engine.turn, args=(called.set,))
            turn.start()
            assert called.wait(20)
            assert bed.count(MachineState.REQUESTED) == 1
        turn.join()
    assert bed.count(MachineState.BOOTING) == 1


def test_a_turn_is_nobody_s_who_does_not_hold_the_lock(bed: Bed) -> None:
    with bed.scaler() as (one, desk), bed.scaler() as (two, _):
        desk.up(1)
        assert one.turn().is_held
        assert not two.turn().is_held
        assert bed.cloud.count("create") == 1


def test_the_limits_are_of_the_scaler_that_runs_whatever_is_known_here(bed: Bed) -> None:
    """As of a verb on a host without scale.toml."""
    bed.up(3)
    bed.end()
    bed.group = replace(bed.group, min=3, max=4)
    with bed.scaler() as (running, _):
        assert running.hold()
        bed.group = replace(bed.group, min=1, max=20)
        with bed.scaler() as (_, desk):
            with pytest.raises(ScaleError, match="below its min of 3"):
                desk.down(None)
            with pytest.raises(ScaleError, match="beyond its max of 4"):
                desk.up(2)
            with pytest.raises(ScaleError, match="from its min of 3 to its max of 4"):
                desk.to(2)
    with bed.scaler() as (_, desk):
        assert desk.down(None)


def test_one_that_is_gone_is_not_shown_with_the_record_of_who_has_its_address(bed: Bed) -> None:
    bed.up(2)
    broken, other = sorted(bed.stock())
    address = bed.stock()[broken].address or ""
    bed.cloud.spoil(broken)
    bed.deregister(address)
    bed.turns_until(lambda: not bed.cloud.named(broken))
    bed.cloud.move(other, address)
    bed.turns_until(lambda: bed.stock()[other].address == address)
    with bed.scaler() as (_, desk):
        words = {row.machine.id: row.word.value for row in desk.machines().rows}
    assert words[broken] == "absent"
    assert words[other] != "absent"


def test_one_that_has_failed_is_not_forgotten_while_the_provider_still_has_it(bed: Bed) -> None:
    """It would run on, and nobody would know."""
    bed.up(2)
    broken = sorted(bed.stock())[0]
    bed.cloud.spoil(broken)
    bed.deregister(bed.stock()[broken].address or "")
    bed.cloud.fail("delete", CloudRefused("it is locked"), times=99)
    bed.turns_until(lambda: bed.states()[broken] == "failed")
    with bed.scaler() as (_, desk), pytest.raises(ScaleError, match="still at the provider"):
        desk.forget(broken)
    bed.cloud.vanish(broken)
    with bed.scaler() as (_, desk):
        desk.forget(broken)
    assert broken not in bed.states()
