"""What may be wished for of a group, whatever its machines are about."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.errors import ScaleError
from secretary.core.machine import Machine, MachineState, Stock
from secretary.core.scaling import Choice, ScaleGroup
from secretary.scaler import wishes
from tests.unit.scaler.machines import NOW, group, machine

SERVING = MachineState.SERVING


def stock_of(*machines: Machine) -> Stock:
    return Stock({each.id: (each, number) for number, each in enumerate(machines, 1)})


states = st.lists(st.sampled_from(MachineState), max_size=8)
stocks = states.map(
    lambda found: stock_of(*(machine(n, state=state) for n, state in enumerate(found, 1)))
)
limits = st.builds(
    lambda least, more, choice: group(min=least, max=max(1, least + more), first=choice),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from(Choice),
)
loads = st.dictionaries(st.integers(1, 8).map("web-{}".format), st.floats(0, 100))


@given(limits, stocks, st.integers(1, 8))
def test_no_wish_goes_beyond_the_most(group: ScaleGroup, stock: Stock, number: int) -> None:
    names = [f"new-{each}" for each in range(number)]
    there = len(wishes.alive(stock))
    try:
        more = wishes.more(group, stock, names, NOW, "")
    except ScaleError:
        assert there + number > group.max
    else:
        assert there + len(more) <= group.max


@given(limits, stocks, st.integers(1, 8), st.data(), loads, st.booleans())
def test_no_wish_goes_below_the_least_or_takes_the_last_that_serves(
    group: ScaleGroup,
    stock: Stock,
    number: int,
    data: st.DataObject,
    load: dict[str, float],
    to_none: bool,
) -> None:
    alive = wishes.alive(stock)
    serving = [each.id for each in alive if each.state is SERVING]
    turning = data.draw(st.sets(st.sampled_from(serving))) if serving else set()
    try:
        going = wishes.fewer(group, stock, number, NOW, "", turning, load, to_none=to_none)
    except ScaleError:
        return
    assert all(each.state is MachineState.DRAINING for each, _ in going)
    assert all(stock.machines[each.id][1] == revision for each, revision in going)
    gone = {each.id for each, _ in going}
    rest = [each for each in alive if each.id not in gone]
    assert not going or len(rest) >= group.min
    if turning & gone and not to_none:
        assert turning - gone
    idle = [each for each in alive if each.state is not SERVING]
    assert len([each for each in idle if each.id in gone]) == min(len(idle), len(going)), (
        "those that do not serve go first"
    )


def test_the_oldest_goes_first() -> None:
    old = machine(2, requested=NOW - timedelta(hours=1))
    going = wishes.fewer(group(), stock_of(machine(1), old), 1, NOW, "", {"web-1"}, {})
    assert [each.id for each, _ in going] == ["web-2"]


@pytest.mark.parametrize(
    ("load", "first"),
    [
        ({"web-1": 40.0, "web-2": 10.0, "web-3": 20.0}, "web-2"),
        ({"web-2": 40.0}, "web-2"),  # of the others nothing is known
        ({"web-1": math.nan, "web-2": 40.0, "web-3": 50.0}, "web-2"),
        ({}, "web-1"),
    ],
)
def test_or_the_one_with_the_least_load(load: dict[str, float], first: str) -> None:
    chosen = group(first=Choice.LEAST_LOADED)
    all_three = stock_of(machine(1, requested=NOW - timedelta(hours=1)), machine(2), machine(3))
    going = wishes.fewer(chosen, all_three, 1, NOW, "", {"web-1", "web-2", "web-3"}, load)
    assert [each.id for each, _ in going] == [first]
