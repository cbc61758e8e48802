"""What the probes of one service have said: counted as it happens, read by the status pages.

Written by the worker's thread only; a reader may see two fields from neighbouring moments.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from secretary.agent.health import Health, State
from secretary.agent.ports import Outcome, ProbeResult
from secretary.core.metric import Buckets

PROBE_SECONDS: Final = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Tally:
    """Counts by outcome and by state entered, seconds by bucket, and the last result."""

    def __init__(self, now: datetime, state: State) -> None:
        self.state = state
        self.state_since = now
        self.outcomes: Counter[Outcome] = Counter()
        self.transitions: Counter[State] = Counter()
        self.seconds = Buckets(PROBE_SECONDS)
        self.last: ProbeResult | None = None
        self.last_at = now

    def add(self, result: ProbeResult, health: Health) -> None:
        self.last_at = datetime.now(UTC)
        self.last = result
        self.outcomes[result.outcome] += 1
        self.seconds.observe(result.duration_s)
        if health.state is not self.state:
            self.transitions[health.state] += 1
            self.state, self.state_since = health.state, self.last_at
