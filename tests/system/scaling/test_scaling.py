"""A group's machines: asked for once, in service, drained, gone; whatever happens in between."""

import contextlib
from datetime import timedelta
from typing import Any

import pytest

from secretary.core.errors import CloudAway, CloudBusy, CloudRefused, ScaleError
from secretary.core.machine import MachineState
from secretary.devetcd import DevEtcd
from secretary.scaler.desk import Desk
from secretary.scaler.engine import Engine
from secretary.store.kv import Delete, Put
from tests.system.scaling_bed import Bed, Death, Fuse, bed_in

SERVING = MachineState.SERVING


def test_a_machine_is_requested_boots_and_serves_when_its_record_is_there(bed: Bed) -> None:
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
    assert bed.states() == {name: "requested"}
    assert bed.cloud.count("create") == 0
    bed.turn()
    assert bed.states() == {name: "booting"}
    bed.turn()
    assert bed.states() == {name: "booting"}
    bed.register()
    bed.turn()
    assert bed.states() == {name: "serving"}
    assert bed.cloud.count("create") == 1


def test_it_does_not_serve_before_every_live_renderer_has_applied_its_record(bed: Bed) -> None:
    renderer = f"/secretary/renderers/{bed.prefix.strip('/')}"
    bed.etcd.commit([], [Put(renderer, b'{"prefix": "%s", "applied": 1}' % bed.prefix.encode(), 0)])
    with bed.scaler() as (_, desk):
        desk.up(1)
    try:
        bed.turn()
        bed.register()
        bed.turn()
        assert bed.count(MachineState.BOOTING) == 1
        applied = b'{"prefix": "%s", "applied": 9000000000}' % bed.prefix.encode()
        bed.etcd.commit([], [Put(renderer, applied, 0)])
        bed.turn()
        assert bed.count(SERVING) == 1
    finally:
        bed.etcd.commit([], [Delete(renderer)])


def test_going_down_is_drained_given_time_and_deleted(bed: Bed) -> None:
    bed.up(2)
    with bed.scaler() as (_, desk):
        (name,) = desk.down(None)
    machine = bed.stock()[name]
    drain = f"/secretary/drain/web/{machine.address}"
    bed.turn()
    assert bed.etcd.get(drain) is not None
    bed.turn()
    assert bed.states()[name] == "draining"
    assert bed.cloud.named(name)
    bed.pass_s(bed.group.drain_time_s)
    bed.turn()
    assert bed.states()[name] == "deleting"
    bed.turn()
    assert not bed.cloud.named(name)
    bed.turn()
    assert bed.etcd.get(drain) is not None, "its record stands, and must stay out of rotation"
    bed.deregister(machine.address or "")
    bed.turn()
    assert name not in bed.states()
    assert bed.etcd.get(drain) is None


def test_a_machine_that_some_renderers_send_requests_to_is_not_replaced(bed: Bed) -> None:
    renderer = f"/secretary/renderers/{bed.prefix.strip('/')}"
    bed.etcd.commit([], [Put(renderer, b'{"prefix": "%s", "applied": 1}' % bed.prefix.encode(), 0)])
    try:
        with bed.scaler() as (_, desk):
            (name,) = desk.up(1)
        bed.turn()
        bed.register()
        bed.pass_s(bed.group.boot_timeout_s)
        bed.turn()
        bed.turn()
        assert bed.states() == {name: "booting"}
        assert bed.stock()[name].reason == "not every renderer has applied its record"
    finally:
        bed.etcd.commit([], [Delete(renderer)])


def test_all_that_break_at_once_are_not_replaced_beyond_the_limit(bed: Bed) -> None:
    bed.up(5)
    for name in bed.cloud.names:
        bed.cloud.spoil(name)
    bed.deregister(*(machine.address or "" for machine in bed.stock().values()))
    bed.turn()
    bed.turn()
    assert bed.count(MachineState.FAILED) == bed.group.max_replacements


def test_the_oldest_goes_first_and_one_after_the_other(bed: Bed) -> None:
    bed.up(4)
    with bed.scaler() as (_, desk):
        going = desk.to(1)
    assert len(going) == 3
    least = 4

    def one_is_left() -> bool:
        nonlocal least
        least = min(least, len(bed.cloud.machines))
        draining = [
            each for each in bed.stock().values()
            if bed.etcd.get(f"/secretary/drain/web/{each.address}") is not None
        ]  # fmt: skip
        assert len(draining) <= bed.group.max_unavailable
        return len(bed.stock()) == 1

    bed.turns_until(one_is_left)
    assert least == 1


def test_what_the_limits_do_not_allow_is_refused(bed: Bed) -> None:
    with bed.scaler() as (_, desk):
        with pytest.raises(ScaleError, match="beyond its max of 10"):
            desk.up(11)
        with pytest.raises(ScaleError, match="got 11, allowed: from its min of 1 to its max of 10"):
            desk.to(11)
        with pytest.raises(ScaleError, match="has no such machine"):
            desk.down("web-1")
    bed.up(1)
    with bed.scaler() as (_, desk), pytest.raises(ScaleError, match="below its min of 1"):
        desk.down(None)
    assert bed.count(SERVING) == 1


def test_the_last_that_serves_stays(etcd: DevEtcd, prefix: str) -> None:
    with bed_in(etcd, prefix, min=0) as bed:
        bed.up(1)
        with (
            bed.scaler() as (_, desk),
            pytest.raises(ScaleError, match="no machine that serves would be left"),
        ):
            desk.down(None)


def test_an_answer_that_was_lost_makes_no_second_machine(bed: Bed) -> None:
    bed.cloud.fail("create", CloudAway("no answer"), is_applied=True)
    bed.up(1)
    assert bed.cloud.count("create") == 1
    assert len(bed.cloud.machines) == 1


def test_a_request_that_was_lost_is_made_anew_under_another_name(bed: Bed) -> None:
    bed.cloud.fail("create", CloudAway("no answer"))
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
    bed.turns_until(lambda: bed.count(SERVING) == 1)
    assert bed.states().pop(name) == "failed"
    assert len(bed.cloud.machines) == 1


def test_a_machine_that_a_lost_request_makes_late_is_deleted(bed: Bed) -> None:
    bed.cloud.fail("create", CloudAway("no answer"))
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
    bed.turns_until(lambda: bed.count(SERVING) == 1)
    bed.cloud.make(name, f"secretary-{bed.group.name}")
    bed.turns_until(lambda: not bed.cloud.named(name))
    assert bed.count(SERVING) == 1


def test_a_cloud_that_is_busy_is_asked_again_when_it_said(bed: Bed) -> None:
    bed.cloud.fail("create", CloudBusy("too many", 30))
    with bed.scaler() as (engine, desk):
        desk.up(1)
        assert engine.hold()
        engine.turn()
        engine.turn()
        assert bed.cloud.count("create") == 1
        bed.pass_s(31)
        engine.turn()
        assert bed.cloud.count("create") == 2
    assert bed.count(MachineState.BOOTING) == 1


def test_a_refusal_is_told_and_not_tried_again(bed: Bed) -> None:
    bed.cloud.fail("create", CloudRefused("create: the quota is used up"))
    with bed.scaler() as (engine, desk):
        (name,) = desk.up(1)
        assert engine.hold()
        assert any("quota" in alarm for alarm in engine.turn().alarms)
        engine.turn()
    assert bed.stock()[name].state is MachineState.FAILED
    assert "quota" in bed.stock()[name].reason
    assert bed.cloud.count("create") == 1


def test_a_machine_that_does_not_come_into_service_is_replaced_a_few_times(bed: Bed) -> None:
    with bed.scaler() as (engine, desk):
        desk.up(1)
        assert engine.hold()
        for _ in range(80):
            report = engine.turn()
            bed.pass_s(30)
        assert any("not replaced: 3 were within the hour" in alarm for alarm in report.alarms)
    assert bed.cloud.count("create") == 1 + bed.group.max_replacements
    assert len(bed.cloud.machines) == 1


def test_one_that_breaks_is_replaced(bed: Bed) -> None:
    bed.up(2)
    broken = next(iter(bed.stock()))
    bed.cloud.spoil(broken, "out of memory")
    bed.deregister(bed.stock()[broken].address or "")
    bed.turns_until(lambda: bed.count(SERVING) == 2 and not bed.cloud.named(broken))
    assert bed.stock()[broken].reason == "broken: out of memory"


def test_one_that_is_deleted_behind_our_back_leaves_the_inventory(bed: Bed) -> None:
    bed.up(2)
    gone = next(iter(bed.stock()))
    bed.cloud.vanish(gone)
    bed.turn()
    assert gone in bed.states(), "its record still says that it lives"
    bed.deregister(bed.stock()[gone].address or "")
    bed.pass_s(60)
    bed.turn()
    assert gone not in bed.states()


def test_one_with_the_tag_that_serves_and_nobody_knows_is_taken_in(bed: Bed) -> None:
    """As after the inventory was lost."""
    id_ = bed.cloud.make("web-stray", f"secretary-{bed.group.name}")
    address = bed.cloud.machines[id_].seen.address
    bed.records.put(f"{address}:80")
    bed.turns_until(lambda: bed.states() == {"web-stray": "serving"})
    bed.cloud.spoil("web-stray")
    bed.deregister(address or "")
    bed.pass_s(3600)
    assert any("was adopted, and is left" in alarm for alarm in (bed.turn(), bed.turn())[1].alarms)
    assert bed.cloud.names == ["web-stray"]


def test_one_with_the_tag_that_has_no_record_here_is_left_alone(bed: Bed) -> None:
    """It may be another directory's."""
    bed.cloud.make("web-theirs", f"secretary-{bed.group.name}")
    assert any("web-theirs: carries the group's tag" in alarm for alarm in bed.turn().alarms)
    bed.pass_s(3600)
    bed.turn()
    assert bed.states() == {}
    assert bed.cloud.names == ["web-theirs"]


def test_wishes_that_are_made_at_once_keep_within_the_limits_together(bed: Bed) -> None:
    """Each has looked before the other wrote."""
    bed.up(2)
    with bed.scaler() as (_, one), bed.scaler() as (_, two):
        first, second = sorted(bed.stock())
        inventory: Any = one._inventory

        class Late:
            """Another's wish comes between this one's look and its writing."""

            def __getattr__(self, name: str) -> Any:
                return getattr(inventory, name)

            def wish(self, *wishes: Any) -> bool:
                one._inventory = inventory
                two.down(second)
                return bool(inventory.wish(*wishes))

        one._inventory = Late()
        with pytest.raises(ScaleError, match="below its min"):
            one.down(first)
    assert sorted(bed.states().values()) == ["draining", "serving"]


def test_one_that_is_to_go_stays_when_no_other_serves_any_more(bed: Bed) -> None:
    bed.up(2)
    with bed.scaler() as (_, desk):
        (going,) = desk.down(None)
    (other,) = set(bed.stock()) - {going}
    bed.cloud.spoil(other)
    bed.deregister(bed.stock()[other].address or "")
    report = bed.turn()
    assert any(f"{going}: stays for now" in alarm for alarm in report.alarms)
    bed.turns_until(lambda: going not in bed.states())
    assert bed.count(SERVING) == 1


def test_an_operator_s_drain_takes_a_machine_out_of_the_count(bed: Bed) -> None:
    bed.up(2)
    first, second = sorted(bed.stock())
    drain = f"/secretary/drain/web/{bed.stock()[first].address}"
    bed.etcd.commit([], [Put(drain, b"", 0)])
    with bed.scaler() as (_, desk):
        assert {row.word.value for row in desk.machines().rows} == {"drained", "applied"}
        with pytest.raises(ScaleError, match="no machine that serves would be left"):
            desk.down(second)
    bed.etcd.commit([], [Delete(drain)])


def test_a_broken_one_whose_secretary_speaks_is_left_alone(bed: Bed) -> None:
    """It is rebooted, or was off for a moment to be resized."""
    bed.up(2)
    bed.cloud.spoil(sorted(bed.stock())[0], "off")
    bed.turn()
    bed.turn()
    assert bed.count(SERVING) == 2


def test_records_that_all_go_at_once_take_one_machine_along_at_most(bed: Bed) -> None:
    """Their secretaries may be cut off from etcd, and they themselves be well."""
    bed.up(5)
    names = set(bed.cloud.names)
    bed.deregister(*(machine.address or "" for machine in bed.stock().values()))
    for _ in range(60):
        bed.turn()
        bed.pass_s(10)
    assert len(names & set(bed.cloud.names)) == 4


def test_an_answer_of_etcd_that_was_lost_makes_no_more_machines(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bed.scaler() as (_, desk):
        commit = bed.etcd.commit

        def twice(*given: Any) -> Any:
            commit(*given)
            return commit(*given)

        monkeypatch.setattr(bed.etcd, "commit", twice)
        desk.up(2)
        monkeypatch.undo()
    assert len(bed.stock()) == 2


def test_a_group_can_be_ended(etcd: DevEtcd, prefix: str) -> None:
    with bed_in(etcd, prefix, min=0) as bed:
        bed.up(2)
        with bed.scaler() as (_, desk):
            desk.to(0)
        bed.turns_until(lambda: not bed.states())
        assert not bed.cloud.names


def test_of_two_with_one_name_one_is_deleted(bed: Bed) -> None:
    bed.up(1)
    (name,) = bed.stock()
    kept = bed.stock()[name].provider_id
    first = bed.cloud.machines[kept or ""].seen.created
    bed.cloud.make(name, f"secretary-{bed.group.name}", created=first + timedelta(seconds=2))
    bed.turns_until(lambda: len(bed.cloud.machines) == 1)
    assert list(bed.cloud.machines) == [kept]


def test_a_second_one_that_a_person_has_made_under_the_same_name_is_left_alone(bed: Bed) -> None:
    """As from a snapshot of the first, later, by hand."""
    bed.up(1)
    ((name, machine),) = bed.stock().items()
    later = bed.cloud.machines[machine.provider_id or ""].seen.created + timedelta(seconds=61)
    bed.cloud.make(name, f"secretary-{bed.group.name}", created=later)
    for _ in range(3):
        assert any("rename it, or take the tag off" in alarm for alarm in bed.turn().alarms)
        bed.pass_s(60)
    assert bed.cloud.names == [name, name]
    assert bed.stock()[name].provider_id == machine.provider_id


def test_a_machine_can_be_adopted_and_forgotten(bed: Bed) -> None:
    bed.cloud.make("old-web")
    with bed.scaler() as (_, desk):
        desk.adopt("old-web")
        with pytest.raises(ScaleError, match="already"):
            desk.adopt("old-web")
    bed.turns_until(lambda: bed.states() == {"old-web": "serving"})
    with bed.scaler() as (_, desk):
        desk.forget("1")
    bed.turn()
    assert bed.states() == {}
    assert bed.cloud.names == ["old-web"]


def test_two_scalers_never_act_at_once(bed: Bed) -> None:
    with bed.scaler() as (one, _):
        assert one.hold()
        with bed.scaler() as (two, _):
            assert not two.hold()
            assert one.hold()
        one.close()
        with bed.scaler() as (three, _):
            assert three.hold()


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_scaler_that_dies_at_any_call_leaves_nothing_twice_and_nothing_behind(
    etcd: DevEtcd, prefix: str, after: bool
) -> None:
    """Two machines are asked for and one is removed; at each call in turn the process dies."""
    call = 0
    while True:
        call += 1
        with bed_in(etcd, f"{prefix}{call}") as bed:
            fuse = Fuse(call, after)
            with bed.scaler(fuse) as (engine, desk), contextlib.suppress(Death):
                _work(bed, engine, desk)
            fuse.left = -1
            bed.pass_s(60)

            def settled(bed: Bed = bed) -> bool:
                known = {m.id for m in bed.stock().values() if m.state is not MachineState.FAILED}
                in_motion = set(bed.states().values()) - {"serving", "failed"}
                return not in_motion and known == set(bed.cloud.names)

            bed.turns_until(settled)
            names = bed.cloud.names
            assert len(names) == len(set(names)) <= 2
            if not fuse.burnt:
                assert call > 10
                assert len(names) == 1
                return


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_no_machine_is_asked_for_twice_however_late_the_lists_show_it(
    etcd: DevEtcd, prefix: str, after: bool
) -> None:
    """At each call in turn the process dies, and the lists do not show what it has made."""
    call = 0
    while True:
        call += 1
        with bed_in(etcd, f"{prefix}{call}") as bed:
            bed.cloud.is_lagging = True
            fuse = Fuse(call, after)
            with bed.scaler(fuse) as (engine, desk), contextlib.suppress(Death):
                desk.up(2)
                assert engine.hold()
                engine.turn()
            fuse.left = -1
            bed.turn()
            asked = [about for name, about in bed.cloud.calls if name == "create"]
            assert len(asked) == len(set(asked)) <= 2
            bed.cloud.list_all()
            if not fuse.burnt:
                assert call > 5
                return


def _work(bed: Bed, engine: Engine, desk: Desk) -> None:
    desk.up(2)
    assert engine.hold()
    for _ in range(4):
        engine.turn()
        bed.register()
        bed.pass_s(5)
    desk.down(None)
    for _ in range(8):
        engine.turn()
        bed.pass_s(5)
