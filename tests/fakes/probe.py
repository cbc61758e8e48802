"""An app's health as a test dictates it."""

import threading

from secretary.agent.ports import Outcome, ProbeResult


class FakeProbe:
    """Answers with `outcome` until it is changed; `asked` counts the questions."""

    def __init__(self, outcome: Outcome = Outcome.PASS) -> None:
        self.outcome = outcome
        self.asked = 0
        self.gate = threading.Event()
        """Cleared, it holds a probe up, as an app that hangs would."""
        self.gate.set()
        self.broken: Exception | None = None

    def run(self) -> ProbeResult:
        self.asked += 1
        self.gate.wait()
        if self.broken is not None:
            raise self.broken
        return ProbeResult(self.outcome, self.outcome.value, 0.001)
