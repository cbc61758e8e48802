"""What the roster is told by those who work for it: events, answers, and words of its owner."""

from dataclasses import dataclass
from typing import TypeAlias

from secretary.agent.discovery.asker import Answer
from secretary.agent.discovery.docker_events import Event
from secretary.agent.discovery.event_reader import Broken, Opened
from secretary.agent.discovery.inspected import Inspected


@dataclass(frozen=True, slots=True)
class Follow:
    refs: frozenset[str] | None


class Stop:
    pass


Told: TypeAlias = list[str] | Inspected | None
"""What may be answered: which containers run, or one of them."""
Message: TypeAlias = Event | Opened | Broken | Answer[Told] | Follow | Stop
