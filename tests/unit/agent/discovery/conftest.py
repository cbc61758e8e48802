"""A Docker that is a fake, and a roster that follows it."""

from collections.abc import Iterator

import pytest

from tests.fakes.docker import FakeDocker
from tests.unit.agent.discovery.watched import JOIN_S, Watched


@pytest.fixture
def docker() -> FakeDocker:
    return FakeDocker()


@pytest.fixture
def watched(docker: FakeDocker) -> Iterator[Watched]:
    watched = Watched(docker)
    yield watched
    docker.answering.set()
    watched.roster.stop(JOIN_S)
    assert docker.is_closed
