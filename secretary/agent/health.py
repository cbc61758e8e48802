"""Is the app up? A table of states, fed with probe results; no clock and no I/O of its own.

    starting    nothing is known yet                      -> up, down
    up          the last probe passed                     -> failing, down
    failing     it fails, not yet often enough            -> up, down
    down        it is refused, or has failed `fall` times -> recovering, up
    recovering  it passes, not yet often enough           -> up, down

`rise` passes in a row make it up, `fall` doubtful failures in a row make it down, and one
refusal makes it down at once. An error of the probe itself changes nothing.
"""

import enum
from dataclasses import dataclass

from secretary.agent.ports import Outcome
from secretary.core.settings import Rhythm


class State(enum.Enum):
    STARTING = "starting"
    UP = "up"
    FAILING = "failing"
    DOWN = "down"
    RECOVERING = "recovering"


class Verdict(enum.Enum):
    """What the state asks of the directory."""

    UNDECIDED = "undecided"
    """Leave what stands there as it is."""
    UP = "up"
    DOWN = "down"


_VERDICTS = {
    State.STARTING: Verdict.UNDECIDED,
    State.UP: Verdict.UP,
    State.FAILING: Verdict.UP,
    State.DOWN: Verdict.DOWN,
    State.RECOVERING: Verdict.DOWN,
}


@dataclass(frozen=True, slots=True)
class Health:
    """`run` is how many results in a row point one way: passes above 0, failures below.

    `refused` is whether a starting app was refused inside its grace: that does not count, yet
    it is enough to know that a record found in the directory speaks of nobody.
    """

    state: State = State.STARTING
    run: int = 0
    refused: bool = False

    @property
    def verdict(self) -> Verdict:
        return Verdict.DOWN if self.refused else _VERDICTS[self.state]

    @property
    def in_doubt(self) -> bool:
        """Whether the next probe should come at the fast interval."""
        return self.state not in (State.UP, State.DOWN)


def step(health: Health, outcome: Outcome, rhythm: Rhythm, age_s: float) -> Health:
    """Return the health after one more probe that ended `age_s` seconds after the first start."""
    if outcome is Outcome.ERROR:
        return health
    state = health.state
    if outcome is Outcome.PASS:
        run = max(health.run, 0) + 1
        if state in (State.UP, State.FAILING) or run >= rhythm.rise:
            return Health(State.UP)
        return Health(State.STARTING if state is State.STARTING else State.RECOVERING, run)

    refused = outcome is Outcome.REFUSED
    if state is State.STARTING and age_s < rhythm.grace_s:
        return Health(refused=refused)
    run = min(health.run, 0) - 1
    if refused or -run >= rhythm.fall or state in (State.DOWN, State.RECOVERING):
        return Health(State.DOWN)
    return Health(State.STARTING if state is State.STARTING else State.FAILING, run)
