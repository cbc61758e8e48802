"""The services of containers: each change that Docker tells becomes plans, and these run.

Meets the fixed services in the supervisor, and keeps their turns apart: Docker's thread and the
main thread both change what runs.
"""

import logging
import threading
from collections.abc import Sequence

from secretary.agent.planner import Fault, Planner
from secretary.agent.ports import Containers
from secretary.agent.service import Plan
from secretary.agent.supervisor import Supervisor

_log = logging.getLogger(__name__)


class Contained:
    """What runs: the fixed plans, and those of the containers that serve."""

    def __init__(self, supervisor: Supervisor, planner: Planner, fixed: Sequence[Plan]) -> None:
        self.faults: tuple[Fault, ...] = ()
        self.containers: Containers | None = None
        """Who watches Docker; None while no container is asked for."""
        self._supervisor = supervisor
        self._planner = planner
        self._fixed = fixed
        self._last: list[Plan] = []
        self._is_stopping = False
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:
            self._supervisor.start(self._plans())

    def follow(self, planner: Planner, fixed: Sequence[Plan]) -> None:
        """Go on by other settings."""
        with self._lock:
            self._planner, self._fixed = planner, fixed
            self._supervisor.follow(self._plans())

    def changed(self) -> None:
        """Take up which containers serve now."""
        with self._lock:
            if not self._is_stopping:
                self._supervisor.follow(self._plans())

    def stop(self, drain_timeout_s: float) -> None:
        """Take every record out, and take nothing up any more."""
        with self._lock:
            self._is_stopping = True
        self._supervisor.stop(drain_timeout_s)

    def _plans(self) -> list[Plan]:
        plans, faults = [*self._fixed], tuple[Fault, ...]()
        if (containers := self.containers) is not None:
            contained, faults = self._planner.contained(
                containers.running, self._fixed, is_all=containers.seen
            )
            plans += contained
        for fault in faults:
            if fault not in self.faults:
                _log.warning("%s", fault.text)
        known = set(map(id, self._last))
        for plan in plans:
            if id(plan) not in known:
                about = {"service": plan.instance.name, "key": plan.key}
                _log.info("publishing %s (%s)", plan.instance.addr, plan.why, extra=about)
        self.faults, self._last = faults, plans
        return plans
