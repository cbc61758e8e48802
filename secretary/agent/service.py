"""One service while it runs: its plan, the worker that probes it, and its registration.

Data flows one way: probe -> worker -> (verdict) -> registration, and the keeper is woken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from secretary.agent.health import Health, Verdict
from secretary.agent.ports import Probe, Registry
from secretary.agent.registration import Registration
from secretary.agent.tally import Tally
from secretary.agent.worker import Worker
from secretary.core import record
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


class Service:
    """Runs one plan. `start`, `follow`, `stop` and `join` are for the supervisor's thread."""

    def __init__(self, plan: Plan, registry: Registry, wake: Callable[[], None]) -> None:
        now = datetime.now(UTC)
        self.plan = plan
        self.tally = Tally(now)
        self.registration = Registration(
            plan.instance.name,
            plan.key,
            record.encode(plan.instance),
            plan.settings.ttl_s,
            registry,
        )
        self._wake = wake
        self._up_since = now
        self._worker = self._make_worker(Health())

    @property
    def worker(self) -> Worker:
        return self._worker

    def start(self) -> None:
        self._worker.start()

    def follow(self, plan: Plan) -> None:
        """Go on under another plan for the same key, endpoint and TTL: change only what differs.

        The health that was reached stays, and so does the record, under the same lease.
        """
        before, self.plan = self.plan, plan
        if (plan.probe_settings, plan.settings.rhythm) != (
            before.probe_settings,
            before.settings.rhythm,
        ):
            self._worker.stop()
            self._worker = self._make_worker(self._worker.health)
            self._worker.start()
        self._tell(self._worker.health.verdict)

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
        plan = self.plan
        return Worker(
            name=plan.instance.name,
            key=plan.key,
            probe=plan.probe,
            rhythm=plan.settings.rhythm,
            timeout_s=plan.probe_settings.timeout_s,
            tell_result=self.tally.add,
            tell_verdict=self._changed,
            health=health,
        )

    def _changed(self, verdict: Verdict) -> None:
        if verdict is Verdict.UP:
            self._up_since = datetime.now(UTC).replace(microsecond=0)
        self._tell(verdict)

    def _tell(self, verdict: Verdict) -> None:
        instance = msgspec.structs.replace(self.plan.instance, since=self._up_since)
        self.registration.want(verdict, record.encode(instance))
        self._wake()
