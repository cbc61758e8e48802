"""What was adopted is somebody's: never deleted unless it is named, and missed when it dies."""

from collections.abc import Iterator

import pytest

from secretary.core.errors import ScaleError
from secretary.core.machine import MachineState
from secretary.devetcd import DevEtcd
from secretary.scaler.tally import counted, registered
from secretary.store.kv import Delete
from tests.system.scaling_bed import Bed, bed_in

SERVING = MachineState.SERVING


@pytest.fixture
def bed(etcd: DevEtcd, prefix: str) -> Iterator[Bed]:
    with bed_in(etcd, prefix, max=3) as bed:
        yield bed


def adopt(bed: Bed, name: str) -> str:
    """Adopt a machine that serves, and return its address."""
    address = bed.cloud.machines[bed.cloud.make(name)].seen.address or ""
    bed.records.put(f"{address}:80")
    with bed.scaler() as (_, desk):
        desk.adopt(name)
    bed.turns_until(lambda: bed.states().get(name) == "serving")
    return address


def test_one_that_was_adopted_goes_only_when_it_is_named(bed: Bed) -> None:
    adopt(bed, "pet")
    bed.up(1)
    (ours,) = set(bed.stock()) - {"pet"}
    with bed.scaler() as (_, desk):
        assert desk.down(None) == [ours]
    bed.turns_until(lambda: ours not in bed.states())
    adopt(bed, "other")
    with bed.scaler() as (_, desk):
        with pytest.raises(ScaleError, match="but those that were adopted: secretary scale down"):
            desk.down(None)
        with pytest.raises(ScaleError, match="but those that were adopted: secretary scale down"):
            desk.to(1)
        assert desk.down("pet") == ["pet"]


def test_a_group_can_be_ended_with_what_was_adopted(etcd: DevEtcd, prefix: str) -> None:
    with bed_in(etcd, prefix, min=0) as bed:
        adopt(bed, "pet")
        with bed.scaler() as (_, desk):
            assert desk.to(0) == ["pet"]


def test_one_that_was_adopted_and_dies_counts_no_more_and_may_come_back(bed: Bed) -> None:
    address = adopt(bed, "pet")
    bed.cloud.spoil("pet")
    bed.deregister(address)
    bed.turn()
    report = bed.turn()
    assert bed.states() == {"pet": "failed"}
    assert counted(report).number == 0, "and another is made to have min"
    assert [each.id for each in registered(report)] == ["pet"]
    for _ in range(3):
        bed.pass_s(3600)
        assert any("pet: broken: error; it was adopted" in each for each in bed.turn().alarms)
    assert bed.cloud.names == ["pet"]
    with bed.scaler() as (_, desk):
        assert ["adopted" in row.machine.words for row in desk.machines().rows] == [True]
    bed.records.put(f"{address}:80")
    bed.turns_until(lambda: bed.states() == {"pet": "serving"})


def test_one_that_was_adopted_and_has_died_is_deleted_when_that_is_asked_for(bed: Bed) -> None:
    address = adopt(bed, "pet")
    bed.up(1)
    bed.cloud.spoil("pet")
    bed.deregister(address)
    bed.turns_until(lambda: bed.states()["pet"] == "failed")
    with bed.scaler() as (_, desk):
        assert desk.down("pet") == ["pet"]
    bed.turns_until(lambda: "pet" not in bed.states())
    assert not bed.cloud.named("pet")


def test_one_that_was_adopted_and_is_deleted_behind_our_back_leaves_the_inventory(
    bed: Bed,
) -> None:
    address = adopt(bed, "pet")
    bed.up(1)
    bed.cloud.spoil("pet")
    bed.deregister(address)
    bed.turns_until(lambda: bed.states()["pet"] == "failed")
    bed.cloud.vanish("pet")
    bed.pass_s(60)
    bed.turn()
    assert "pet" not in bed.states()


def test_a_machine_that_cannot_be_adopted_is_left_as_it_was(bed: Bed) -> None:
    bed.up(3)
    id_ = bed.cloud.make("pet")
    with bed.scaler() as (_, desk), pytest.raises(ScaleError, match="beyond its max of 3"):
        desk.adopt("pet")
    assert not bed.cloud.machines[id_].tags


def test_no_more_are_taken_in_than_there_may_be(bed: Bed) -> None:
    bed.up(2)
    for name in ("stray-1", "stray-2"):
        id_ = bed.cloud.make(name, f"secretary-{bed.group.name}")
        bed.records.put(f"{bed.cloud.machines[id_].seen.address}:80")
    bed.turn()
    assert len(bed.stock()) == 3
    assert any("stray-2: carries the group's tag" in alarm for alarm in bed.turn().alarms)


def test_those_that_we_had_made_are_ours_again_after_the_inventory_was_lost(bed: Bed) -> None:
    bed.up(2)
    keys = [machine.key for machine in bed.stock().values()]
    bed.etcd.commit([], [Delete(key) for key in keys])
    bed.turns_until(lambda: bed.count(SERVING) == 2)
    broken, other = sorted(bed.stock())
    bed.cloud.spoil(broken)
    bed.deregister(bed.stock()[broken].address or "")
    bed.turns_until(lambda: not bed.cloud.named(broken) and bed.count(SERVING) == 2)
    with bed.scaler() as (_, desk):
        assert desk.down(None) == [other]
