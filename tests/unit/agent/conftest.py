"""A supervisor on a directory that is a fake."""

from collections.abc import Iterator

import pytest

from secretary.agent.supervisor import Supervisor
from tests.fakes.registry import FakeRegistry


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def supervisor(registry: FakeRegistry) -> Iterator[Supervisor]:
    supervisor = Supervisor(registry)
    yield supervisor
    supervisor.stop(1)
    for service in supervisor.services:
        service.join(5)
