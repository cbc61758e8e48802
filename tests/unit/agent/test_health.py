"""The rules of health, held for every sequence of results."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from secretary.agent.health import Health, State, Verdict, step
from secretary.agent.ports import Outcome
from secretary.core.settings import Rhythm

PASS, DOUBT, REFUSED, ERROR = Outcome.PASS, Outcome.DOUBT, Outcome.REFUSED, Outcome.ERROR

outcomes = st.lists(st.sampled_from(Outcome), max_size=40)
rhythms = st.builds(
    Rhythm,
    rise=st.integers(1, 5),
    fall=st.integers(1, 5),
    grace_s=st.sampled_from([0.0, 3.0, 10.0]),
)


def play(results: list[Outcome], rhythm: Rhythm) -> list[Health]:
    """Feed results one second apart; return the health before the first and after each."""
    seen = [Health()]
    for age, outcome in enumerate(results):
        seen.append(step(seen[-1], outcome, rhythm, float(age)))
    return seen


def states(results: list[Outcome], rhythm: Rhythm) -> list[State]:
    return [health.state for health in play(results, rhythm)[1:]]


def test_two_passes_make_a_starting_app_up() -> None:
    assert states([PASS, PASS], Rhythm(rise=2)) == [State.STARTING, State.UP]


def test_a_failure_between_passes_starts_the_count_again() -> None:
    assert states([PASS, DOUBT, PASS, PASS], Rhythm(rise=2, fall=3))[-2:] == [
        State.STARTING,
        State.UP,
    ]


def test_one_refusal_is_enough_whatever_fall_says() -> None:
    assert states([PASS, PASS, REFUSED], Rhythm(rise=2, fall=5))[-1] is State.DOWN


def test_doubtful_failures_need_fall_of_them_in_a_row() -> None:
    rhythm = Rhythm(rise=1, fall=3)
    assert states([PASS, DOUBT, DOUBT, PASS, DOUBT, DOUBT, DOUBT], rhythm) == [
        State.UP,
        State.FAILING,
        State.FAILING,
        State.UP,
        State.FAILING,
        State.FAILING,
        State.DOWN,
    ]


def test_an_app_that_was_down_recovers_only_after_rise_passes_in_a_row() -> None:
    rhythm = Rhythm(rise=2, fall=1)
    assert states([REFUSED, PASS, DOUBT, PASS, PASS], rhythm) == [
        State.DOWN,
        State.RECOVERING,
        State.DOWN,
        State.RECOVERING,
        State.UP,
    ]


def test_failures_inside_the_grace_do_not_count() -> None:
    rhythm = Rhythm(rise=1, fall=1, grace_s=3.0)
    assert states([DOUBT, REFUSED, DOUBT, DOUBT], rhythm) == [
        State.STARTING,
        State.STARTING,
        State.STARTING,
        State.DOWN,
    ]


def test_a_refusal_inside_the_grace_still_says_that_a_found_record_is_a_ghost() -> None:
    seen = play([REFUSED, DOUBT, PASS], Rhythm(rise=2, grace_s=10.0))
    assert [health.verdict for health in seen] == [
        Verdict.UNDECIDED,
        Verdict.DOWN,
        Verdict.UNDECIDED,
        Verdict.UNDECIDED,
    ]


@given(outcomes, rhythms)
def test_errors_of_the_probe_change_nothing(results: list[Outcome], rhythm: Rhythm) -> None:
    without_time = Rhythm(rise=rhythm.rise, fall=rhythm.fall)
    real = [outcome for outcome in results if outcome is not ERROR]
    assert play(results, without_time)[-1] == play(real, without_time)[-1]


@given(outcomes, rhythms)
def test_it_is_never_up_before_rise_passes_in_a_row(results: list[Outcome], rhythm: Rhythm) -> None:
    passes = 0
    for outcome, health in zip(results, play(results, rhythm)[1:], strict=True):
        if outcome is not ERROR:
            passes = passes + 1 if outcome is PASS else 0
        if passes >= rhythm.rise:
            assert health.state is State.UP
        if outcome in (DOUBT, REFUSED):
            assert health.state is not State.UP


@given(outcomes, rhythms)
def test_a_refused_app_is_down_at_once_unless_in_its_grace(
    results: list[Outcome], rhythm: Rhythm
) -> None:
    seen = play(results, rhythm)
    for age, outcome in enumerate(results):
        graced = seen[age].state is State.STARTING and age < rhythm.grace_s
        if outcome is REFUSED and not graced:
            assert seen[age + 1] == Health(State.DOWN)


@given(outcomes, rhythms)
def test_a_record_is_taken_out_only_for_a_refusal_or_fall_failures_in_a_row(
    results: list[Outcome], rhythm: Rhythm
) -> None:
    seen = play(results, rhythm)
    for end, (before, after) in enumerate(pairwise(seen), start=1):
        if before.verdict is Verdict.UP and after.verdict is Verdict.DOWN:
            real = [outcome for outcome in results[:end] if outcome is not ERROR]
            assert real[-1] is REFUSED or real[-rhythm.fall :] == [DOUBT] * rhythm.fall


@given(outcomes, rhythms)
def test_once_decided_it_stays_decided(results: list[Outcome], rhythm: Rhythm) -> None:
    decided = False
    for health in play(results, rhythm):
        assert not (decided and health.state is State.STARTING)
        decided = decided or health.state is not State.STARTING
