"""The services of one process: started, changed and stopped together, each on its own feet."""

import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from secretary.agent.health import Health
from secretary.agent.keeper import Keeper
from secretary.agent.ports import Outcome, Registry
from secretary.agent.registration import Registration
from secretary.agent.service import Plan, Service
from secretary.core.errors import StoreError

_log = logging.getLogger(__name__)

LEAST_LEAVE_S: Final = 0.4
"""What leaving gets even when no time is given for draining."""
RENDERERS_POLL_S: Final = 0.05
PROBE_JOIN_S: Final = 0.1
LAST_LOOKS_S: Final = 2.0
"""How long to look, at the end, which apps are gone."""


class Supervisor:
    """Runs plans. Its methods are for one thread; `services` and `keeper` may be read by others."""

    def __init__(self, registry: Registry) -> None:
        self.services: tuple[Service, ...] = ()
        self.keeper = Keeper(self._registrations)
        self._registry = registry
        self._leaving: tuple[Service, ...] = ()

    def start(self, plans: Sequence[Plan]) -> None:
        self._begin(plans)
        self.keeper.start()

    def follow(self, plans: Sequence[Plan]) -> None:
        """Go on with these plans: what is the same in both runs on untouched."""
        wanted, known = {plan.key: plan for plan in plans}, {}
        kept = []
        self._leaving = tuple(s for s in self._leaving if not s.registration.settled)
        for service in self.services:
            before, plan = service.plan, wanted.get(service.plan.key)
            if plan is None or plan.endpoint != before.endpoint:
                service.leave()
                self._leaving += (service,)
            elif plan.settings.ttl_s != before.settings.ttl_s:
                service.abandon()  # its successor takes the record over, under another lease
                known[plan.key] = service.worker.health
            else:
                del wanted[plan.key]
                kept.append(service)
                service.follow(plan)
        self.services = tuple(kept)
        self._begin(wanted.values(), known)
        self.keeper.wake()

    def look(self, container: str) -> None:
        """Probe what is in a container, named by its id, at once. From any thread."""
        for service in self.services:
            if service.plan.container is not None and service.plan.container.id == container:
                service.worker.look()

    def stop(self, drain_timeout_s: float) -> None:
        """Take every record out, wait until the renderers have seen it, then end the loops.

        Returns after `drain_timeout_s` plus half a second at most, whatever etcd does.
        """
        deadline_s = time.monotonic() + max(drain_timeout_s, LEAST_LEAVE_S)
        for service in self.services:
            service.leave()
        _log.info("stopping: leaving the directory first")
        if self.keeper.leave(deadline_s - time.monotonic()):
            self._drain(deadline_s)
        else:
            troubles = (s.registration.trouble for s in self.services)
            reason = self.keeper.away or next(filter(None, troubles), "no answer in time")
            _log.warning("could not leave: %s; the records go when their leases expire", reason)
        self.keeper.stop(PROBE_JOIN_S)
        join_by_s = time.monotonic() + PROBE_JOIN_S
        for service in (*self._leaving, *self.services):
            service.join(max(0.0, join_by_s - time.monotonic()))

    def _begin(
        self, plans: Iterable[Plan], known: Mapping[str, Health] = MappingProxyType({})
    ) -> None:
        """Start services; one whose app's health is `known`, by key, goes on from there."""
        fresh = tuple(
            Service(plan, self._registry, self.keeper.wake, known.get(plan.key, Health()))
            for plan in plans
        )
        self.services += fresh
        for service in fresh:
            service.start()

    def _registrations(self) -> Collection[Registration]:
        # Those that leave come first, so that a key is free before its next holder looks.
        return [s.registration for s in (*self._leaving, *self.services)]

    def _drain(self, deadline_s: float) -> None:
        """Wait until every live renderer has applied the directory without our records.

        An app that is gone, whose end may be what ends us, is not waited for: nobody whom a
        renderer still sends there would be served, and the app's next start may wait for us.
        """
        gone = (*self._leaving, *self.services)
        left = {
            service.plan.key: service.registration.left_revision
            for service in gone
            if service.registration.left_revision is not None
        }
        if not left:
            return
        pause = threading.Event()
        look_by_s = time.monotonic() + LAST_LOOKS_S
        try:
            if self._registry.renderers_behind(left):
                for service in gone:
                    longest_s = service.plan.probe_settings.timeout_s
                    if time.monotonic() + longest_s <= look_by_s and _is_dead(service):
                        left.pop(service.plan.key, None)
            while left and (behind := self._registry.renderers_behind(left)):
                if time.monotonic() >= deadline_s:
                    _log.warning("drain timeout: not yet applied by %s", ", ".join(behind))
                    return
                pause.wait(RENDERERS_POLL_S)
        except StoreError as error:
            _log.warning("cannot see the renderers, not waiting for them: %s", error)


def _is_dead(service: Service) -> bool:
    return service.plan.probe.run().outcome is Outcome.REFUSED
