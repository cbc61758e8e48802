"""One service while it runs: its plan, the worker that probes it, and its registration.

Data flows one way: probe -> worker -> (verdict) -> registration, and the keeper is woken.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from secretary.agent.health import Health, Verdict
from secretary.agent.ports import Probe, Registry
from secretary.agent.registration import Registration
from secretary.agent.tally import Tally
from secretary.agent.worker import Worker
from secretary.core import record
from secretary.core.container import Container
from secretary.core.instance import Instance
from secretary.core.settings import ProbeSettings, ServiceSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """A service whose address is known: what `settings` come to on this host."""

    settings: ServiceSettings
    instance: Instance
    key: str
    probe_settings: ProbeSettings
    probe: Probe
    container: Container | None = None
    why: str = ""
    """Why the instance has its address."""

    @property
    def endpoint(self) -> tuple[str, str]:
        """Return what the plan is for: another one is another app, even at the same address."""
        life = self.container.incarnation if self.container is not None else ""
        return self.instance.addr, life


class Service:
    """Runs one plan. `start`, `follow`, `stop` and `join` are for the supervisor's thread."""

    def __init__(
        self, plan: Plan, registry: Registry, wake: Callable[[], None], health: Health
    ) -> None:
        """`health` is what is known of the app already."""
        now = datetime.now(UTC).replace(microsecond=0)
        self.plan = plan
        self.tally = Tally(now, health.state)
        self.registration = Registration(
            plan.instance.name,
            plan.key,
            record.encode(plan.instance),
            plan.settings.ttl_s,
            registry,
        )
        self._wake = wake
        self._up_since = now
        # Orders what the worker says and what a reload makes of it.
        self._lock = threading.Lock()
        self._worker = self._make_worker(health)

    @property
    def worker(self) -> Worker:
        return self._worker

    def start(self) -> None:
        self._tell(self._worker.health.verdict)
        self._worker.start()

    def follow(self, plan: Plan) -> None:
        """Go on under another plan for the same key, endpoint and TTL: change only what differs.

        The health that was reached stays, and so does the record, under the same lease.
        """
        if plan is self.plan:
            return
        with self._lock:
            before, self.plan = self.plan, plan
            if plan != replace(before, probe=plan.probe):
                self._tell(self._worker.health.verdict)
            if _asks_differently(before, plan):
                self._worker.stop()
                self._worker = self._make_worker(self._worker.health)
                self._worker.start()

    def leave(self) -> None:
        """Stop probing and take the record out."""
        self._worker.stop()
        self.registration.leave()
        self._wake()

    def abandon(self) -> None:
        """Stop probing and leave the record to whoever takes it over, or to its lease."""
        self._worker.stop()
        self.registration.abandon()

    def join(self, timeout_s: float) -> None:
        self._worker.join(timeout_s)

    def _make_worker(self, health: Health) -> Worker:
        def tell_verdict(verdict: Verdict) -> None:
            with self._lock:
                if worker is self._worker:  # not one that has been replaced meanwhile
                    self._changed(verdict)

        plan = self.plan
        worker = Worker(
            name=plan.instance.name,
            key=plan.key,
            probe=plan.probe,
            rhythm=plan.settings.rhythm,
            timeout_s=plan.probe_settings.timeout_s,
            tell_result=self.tally.add,
            tell_verdict=tell_verdict,
            health=health,
        )
        return worker

    def _changed(self, verdict: Verdict) -> None:
        if verdict is Verdict.UP:
            self._up_since = datetime.now(UTC).replace(microsecond=0)
        self._tell(verdict)

    def _tell(self, verdict: Verdict) -> None:
        instance = msgspec.structs.replace(self.plan.instance, since=self._up_since)
        self.registration.want(verdict, record.encode(instance))
        self._wake()


def _asks_differently(before: Plan, after: Plan) -> bool:
    """Whether the app must be probed anew; a certificate may be another one in the same file."""
    probe = after.probe_settings
    return (
        probe != before.probe_settings
        or after.settings.rhythm != before.settings.rhythm
        or any((probe.cacert, probe.cert, probe.key))
    )
