"""What a HEALTHCHECK's word is as the answer of a probe."""

import pytest

from secretary.agent.discovery.docker_health import HealthProbe
from secretary.agent.ports import Outcome
from secretary.core.container import Health


@pytest.mark.parametrize(
    ("health", "outcome", "detail"),
    [
        (Health.HEALTHY, Outcome.PASS, "Docker: healthy"),
        (Health.UNHEALTHY, Outcome.REFUSED, "Docker: unhealthy"),
        (Health.STARTING, Outcome.DOUBT, "Docker: starting"),
        (Health.NONE, Outcome.ERROR, "no HEALTHCHECK"),
        (None, Outcome.ERROR, "Docker does not answer: health not known"),
    ],
)
def test_what_is_not_known_changes_nothing(
    health: Health | None, outcome: Outcome, detail: str
) -> None:
    result = HealthProbe(lambda: health).run()
    assert (result.outcome, result.detail) == (outcome, detail)
