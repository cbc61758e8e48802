"""The wall's clock is set while machines come and go: nothing is replaced or deleted by that."""

import pytest

from secretary.core.errors import CloudAway
from secretary.core.machine import MachineState
from tests.system.scaling_bed import Bed

JUMPS = pytest.mark.parametrize("jump_s", [7200, -7200], ids=["forward", "back"])


@JUMPS
def test_a_machine_that_boots_has_its_time_whatever_the_wall_s_clock_does(
    bed: Bed, jump_s: float
) -> None:
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
    bed.turn()
    bed.turn()
    bed.jump_s(jump_s)
    bed.turn()
    assert bed.states() == {name: "booting"}
    bed.pass_s(bed.group.boot_timeout_s)
    bed.turn()
    assert bed.states()[name] == "failed"


@JUMPS
def test_connections_have_their_time_whatever_the_wall_s_clock_does(
    bed: Bed, jump_s: float
) -> None:
    bed.up(2)
    with bed.scaler() as (_, desk):
        (name,) = desk.down(None)
    bed.turn()
    bed.turn()
    assert bed.stock()[name].drained is not None
    bed.jump_s(jump_s)
    bed.turn()
    assert bed.states()[name] == "draining"
    bed.pass_s(bed.group.drain_time_s)
    bed.turn()
    assert bed.states()[name] == "deleting"


def test_a_request_whose_answer_was_lost_has_its_time(bed: Bed) -> None:
    bed.cloud.fail("create", CloudAway("no answer"))
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
    bed.turn()
    bed.jump_s(7200)
    bed.turn()
    assert bed.states() == {name: "requested"}
    bed.pass_s(60)
    bed.turn()
    assert bed.states()[name] == "failed"


def test_a_scaler_that_begins_anew_gives_a_machine_its_time_anew(bed: Bed) -> None:
    """It cannot know whether the clock was set while nobody looked."""
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
    bed.turn()
    bed.turn()
    bed.end()
    bed.jump_s(7200)
    bed.turn()
    assert bed.states() == {name: "booting"}
    bed.pass_s(bed.group.boot_timeout_s)
    bed.turn()
    assert bed.states()[name] == "failed"
    assert bed.count(MachineState.REQUESTED) == 1
