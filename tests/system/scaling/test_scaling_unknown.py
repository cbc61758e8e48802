"""Machines of which the inventory says nothing that can be read: none are made in their place."""

from collections.abc import Iterator

import pytest

from secretary.core.errors import ScaleError
from secretary.core.scaling import PolicySettings
from secretary.devetcd import DevEtcd
from secretary.scaler.policy import Decision, Limits, decide
from secretary.scaler.samples import Past
from secretary.scaler.tally import counted
from secretary.store.kv import Delete, Put
from tests.system.scaling_bed import Bed, bed_in


@pytest.fixture
def bed(etcd: DevEtcd, prefix: str) -> Iterator[Bed]:
    with bed_in(etcd, prefix, min=2, max=5) as bed:
        yield bed


def decided(bed: Bed) -> Decision:
    limits = Limits(bed.group.min, bed.group.max)
    return decide(PolicySettings(), limits, counted(bed.turn()), [], Past(), 0.0)[0]


def test_entries_that_a_newer_version_wrote_are_counted_and_none_of_the_others_goes(
    bed: Bed,
) -> None:
    bed.up(4)
    for machine in list(bed.stock().values())[:3]:
        entry = bed.etcd.get(machine.key)
        assert entry is not None
        newer = entry.value.replace(b'"serving"', b'"parked"')
        bed.etcd.commit([], [Put(machine.key, newer, 0)])
    assert decided(bed).target == 1, "of those that can be read"
    with bed.scaler() as (engine, desk):
        with pytest.raises(ScaleError, match="2 more than the 4 that it has are beyond its max"):
            desk.up(2)
        with pytest.raises(ScaleError, match="parked"):
            desk.down(None)
        with pytest.raises(ScaleError, match="parked"):
            desk.to(2)
        assert desk.to(5)
        assert sum("parked" in alarm for alarm in engine.look().alarms) == 3
    keys = list(bed.inventory().rejected)
    bed.etcd.commit([], [Delete(key) for key in keys])


def test_an_inventory_that_came_back_empty_is_not_filled_beside_those_that_run(bed: Bed) -> None:
    bed.up(4)
    keys = [machine.key for machine in bed.stock().values()]
    bed.deregister(*(machine.address or "" for machine in bed.stock().values()))
    bed.etcd.commit([], [Delete(key) for key in keys])
    assert decided(bed).target == 0, "and an alarm for each of the four"
    bed.cloud.vanish(bed.cloud.names[0])
    bed.cloud.vanish(bed.cloud.names[0])
    bed.cloud.vanish(bed.cloud.names[0])
    assert decided(bed).target == 1
