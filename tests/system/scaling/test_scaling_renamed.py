"""A machine that gets another name at its provider stays the machine that it was."""

import pytest

from secretary.core.machine import MachineState
from secretary.store.kv import Delete, Put
from tests.system.scaling_bed import Bed

SERVING = MachineState.SERVING


@pytest.mark.parametrize("name", ["frontend-one", "Its new name!"])
def test_one_that_was_renamed_is_counted_once_and_touched_by_nobody(bed: Bed, name: str) -> None:
    bed.up(2)
    first, second = sorted(bed.stock())
    bed.cloud.rename(first, name)
    calls = len(bed.cloud.calls)
    for _ in range(3):
        bed.pass_s(3600)
        assert not bed.turn().alarms
    assert bed.states() == {first: "serving", second: "serving"}
    assert {call for call, _ in bed.cloud.calls[calls:]} == {"machines"}
    with bed.scaler() as (_, desk):
        assert all(row.seen is not None for row in desk.machines().rows)


def test_one_that_was_renamed_leaves_in_order_like_any_other(bed: Bed) -> None:
    bed.up(2)
    first, second = sorted(bed.stock())
    bed.cloud.rename(first, "frontend-one")
    with bed.scaler() as (_, desk):
        assert desk.down("1") == [first]
    bed.turns_until(lambda: first not in bed.states() or not bed.cloud.named("frontend-one"))
    bed.deregister("10.9.0.2")
    bed.turns_until(lambda: bed.states() == {second: "serving"})
    assert bed.cloud.names == [second]


def test_one_that_was_forgotten_stays_so_under_another_name(bed: Bed) -> None:
    bed.up(2)
    first, second = sorted(bed.stock())
    id_ = bed.cloud.named(first)[0]
    with bed.scaler() as (_, desk):
        desk.forget(first)
    bed.cloud.rename(first, "frontend-one")
    bed.cloud.machines[id_].tags.add(f"secretary-{bed.group.name}")
    bed.turn()
    assert list(bed.stock()) == [second]
    with bed.scaler() as (_, desk):
        desk.adopt("frontend-one")
    assert not bed.inventory().forgotten


def test_a_new_machine_of_its_former_name_is_not_taken_for_one_made_twice(bed: Bed) -> None:
    bed.up(1)
    (name,) = bed.stock()
    bed.cloud.rename(name, "frontend-one")
    bed.cloud.make(name, f"secretary-{bed.group.name}")
    assert any("rename it, or take the tag off" in alarm for alarm in bed.turn().alarms)
    assert bed.cloud.names == ["frontend-one", name]
    assert bed.states() == {name: "serving"}


@pytest.mark.parametrize("state", ["failed", "deleting", "booting"])
def test_of_two_entries_with_one_machine_the_one_in_service_keeps_it(bed: Bed, state: str) -> None:
    """As inventories had it before machines were known by their ids."""
    bed.up(2)
    first = sorted(bed.stock())[0]
    old = f"/secretary/machines/{bed.group.name}/web-old"
    entry = bed.etcd.get(f"/secretary/machines/{bed.group.name}/{first}")
    assert entry is not None
    twin = entry.value.replace(first.encode(), b"web-old")
    twin = twin.replace(b'"serving"', f'"{state}"'.encode())
    bed.etcd.commit([], [Put(old, twin, 0)])
    bed.deregister(bed.stock()[first].address or "")
    with bed.scaler() as (_, desk):
        tags = set(bed.cloud.machines[bed.cloud.named(first)[0]].tags)
        bed.pass_s(7200)
        if state == "failed":
            desk.forget("web-old")
            assert bed.cloud.machines[bed.cloud.named(first)[0]].tags == tags
    bed.register()
    bed.turns_until(lambda: "web-old" not in bed.states(), each_s=60)
    assert bed.cloud.named(first)
    bed.etcd.commit([], [Delete(old)])
