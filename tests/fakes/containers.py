"""Containers as a test dictates them, in place of a Docker host."""

import time
from dataclasses import dataclass, field

from secretary.agent.planner import Fault
from secretary.core.container import Container


@dataclass
class FakeContainers:
    """What `agent/ports.py` calls Containers."""

    running: tuple[Container, ...] = ()
    away: str | None = None
    seen: bool = True
    errors: int = 0
    beat_s: float = field(default_factory=time.monotonic)


@dataclass
class FakeDiscovered:
    """What the pages are told; by itself, that no container is asked for."""

    containers: FakeContainers | None = None
    faults: tuple[Fault, ...] = ()
