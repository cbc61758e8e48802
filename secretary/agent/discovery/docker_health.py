"""`docker` as a probe passes while the container's own HEALTHCHECK does. Asks nobody."""

import time
from collections.abc import Callable

from secretary.agent.ports import Outcome, ProbeResult
from secretary.core.container import Health

_ANSWERS = {
    Health.HEALTHY: (Outcome.PASS, "Docker: healthy"),
    Health.UNHEALTHY: (Outcome.REFUSED, "Docker: unhealthy"),
    Health.STARTING: (Outcome.DOUBT, "Docker: starting"),
    Health.NONE: (Outcome.ERROR, "no HEALTHCHECK"),
    None: (Outcome.ERROR, "Docker does not answer: health not known"),
}


class HealthProbe:
    """`health` returns what is known of the container; None when that is nothing."""

    def __init__(self, health: Callable[[], Health | None]) -> None:
        self._health = health

    def run(self) -> ProbeResult:
        began_s = time.monotonic()
        outcome, detail = _ANSWERS[self._health()]
        return ProbeResult(outcome, detail, time.monotonic() - began_s)
