"""What goes at once in a great number is kept while it answers; a floor is never gone below."""

import math

from secretary.core.instance import Instance
from secretary.core.settings import GuardSettings
from secretary.core.snapshot import Snapshot
from secretary.renderer.guard import Guard
from tests.unit.renderer.records import instance, keyed, snapshot

SIX = [instance(ip=f"10.0.0.{n}") for n in range(1, 7)]
KEYS = list(keyed(SIX))


def guard(**settings: object) -> Guard:
    return Guard(GuardSettings(**settings)).moved(Snapshot(), snapshot(1, *SIX), (), 0)  # type: ignore[arg-type]


def held(after: Guard) -> list[str]:
    return [key.rpartition("/")[2].removesuffix(":80") for key in after.held]


def step(
    before: Guard, old: list[Instance], new: list[Instance], now_s: float, revision: int = 2
) -> Guard:
    return before.moved(snapshot(1, *old), snapshot(revision, *new), (), now_s)


def test_up_to_half_of_a_service_may_go() -> None:
    after = step(guard(), SIX, SIX[3:], 1)
    assert not after.held
    assert after.due_s() == math.inf


def test_more_than_half_at_once_is_kept_and_asked() -> None:
    after = step(guard(), SIX, SIX[4:], 1)
    assert sorted(after.held) == KEYS[:4]
    assert sorted(after.to_ask(1)) == KEYS[:4]


def test_one_after_the_other_within_the_window_counts_as_at_once() -> None:
    after = guard()
    for gone in range(4):
        after = step(after, SIX[gone:], SIX[gone + 1 :], 1 + gone * 2)
    assert sorted(after.held) == KEYS[:4]


def test_one_after_the_other_over_a_longer_time_does_not() -> None:
    after = guard()
    for gone in range(6):
        after = step(after, SIX[gone:], SIX[gone + 1 :], 1 + gone * 6)
    assert not after.held


def test_a_small_service_may_go_as_a_whole() -> None:
    small = SIX[:3]
    after = Guard(GuardSettings()).moved(Snapshot(), snapshot(1, *small), (), 0)
    assert not step(after, small, [], 1).held


def test_who_left_on_purpose_is_let_go() -> None:
    after = guard().moved(snapshot(1, *SIX), snapshot(2), KEYS, 1)
    assert not after.held


def test_records_that_no_longer_decode_are_lost_like_others() -> None:
    """One of many is left out at once; if all go bad, it is the writer that is at fault."""
    broken = Snapshot(2, {}, dict.fromkeys(KEYS, "malformed"))
    assert sorted(guard().moved(snapshot(1, *SIX), broken, (), 1).held) == KEYS
    one = Snapshot(2, keyed(SIX[1:]), {KEYS[0]: "malformed"})
    assert not guard().moved(snapshot(1, *SIX), one, (), 1).held


def test_while_some_are_asked_nobody_is_due_to_be() -> None:
    after = step(guard(hold_s=60), SIX, SIX[4:], 1)
    assert after.due_s() == 1
    assert after.due_s(asking=True) == 61


def test_an_endpoint_that_is_there_under_another_key_is_not_lost() -> None:
    again = Snapshot(2, {f"/services/web/id-{n}": record for n, record in enumerate(SIX)})
    assert not guard().moved(snapshot(1, *SIX), again, (), 1).held


def test_who_does_not_answer_goes_and_who_does_is_asked_again() -> None:
    after = step(guard(), SIX, SIX[4:], 1).asked(KEYS[:4], 1)
    assert after.to_ask(1) == []
    after = after.answered({KEYS[0]: True, KEYS[1]: False, KEYS[2]: True, KEYS[3]: False}, 1.5)
    assert held(after) == ["10.0.0.1", "10.0.0.3"]
    assert after.to_ask(3) == [KEYS[0], KEYS[2]]


def test_nobody_is_kept_for_longer_than_the_hold() -> None:
    after = step(guard(hold_s=60), SIX, SIX[4:], 1)
    assert after.passed(60).held
    assert not after.passed(61).held


def test_who_comes_back_is_kept_no_longer() -> None:
    after = step(guard(), SIX, SIX[4:], 1)
    assert held(step(after, SIX[4:], SIX[1:], 2)) == ["10.0.0.1"]


def test_a_directory_made_anew_takes_nothing_away_that_answers() -> None:
    """Its revision is younger: its emptiness says nothing of the apps."""
    two = SIX[:2]
    known = Guard(GuardSettings()).moved(Snapshot(), snapshot(50, *two), (), 0)
    after = known.moved(snapshot(50, *two), snapshot(3), (), 1)
    assert sorted(after.held) == KEYS[:2]
    assert not known.moved(snapshot(50, *two), snapshot(51), (), 1).held


def test_a_floor_is_never_gone_below() -> None:
    floored = guard(min_instances={"web": 2}, max_loss=1.0)
    after = step(floored, SIX, SIX[:1], 1)
    assert len(after.held) == 1
    assert after.to_ask(99) == []
    assert after.passed(1000).held == after.held


def test_a_floor_lets_go_when_others_are_there() -> None:
    floored = guard(min_instances={"web": 2}, max_loss=1.0)
    after = step(step(floored, SIX, SIX[:1], 1), SIX[:1], SIX[:1], 30)
    assert len(after.held) == 1
    fresh = instance(ip="10.0.0.99")
    assert not step(after, SIX[:1], [SIX[0], fresh], 60).held


def test_a_floor_keeps_what_did_not_answer() -> None:
    floored = guard(min_instances={"web": 1})
    after = step(floored, SIX, [], 1).asked(KEYS, 1)
    after = after.answered(dict.fromkeys(KEYS, False), 2)
    assert len(after.held) == 1


def test_a_floor_does_not_hold_who_left_on_purpose() -> None:
    floored = guard(min_instances={"web": 2})
    assert not floored.moved(snapshot(1, *SIX), snapshot(2), KEYS, 1).held
