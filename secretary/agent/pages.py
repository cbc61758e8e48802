"""What the agent says of itself, read off its running services when somebody asks.

Nothing is kept here: a page is made from the services, the registrations and the keeper.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import secretary
from secretary.agent.health import State
from secretary.agent.keeper import LONGEST_TURN_S
from secretary.agent.planner import Fault
from secretary.agent.ports import Containers, Outcome
from secretary.agent.registration import Place
from secretary.agent.service import Service
from secretary.agent.supervisor import Supervisor
from secretary.core.metric import Family, Kind, Labels, Sample
from secretary.core.pages import Verdict

LONGEST_DOCKER_S: Final = 120.0
"""The loop that follows Docker lists everything once a minute."""
SLACK_S: Final = 10.0
"""What a probing loop may be late on a busy host before it counts as hanging."""


class Discovered(Protocol):
    """What is known of containers, if any are asked for."""

    @property
    def containers(self) -> Containers | None: ...

    @property
    def faults(self) -> Sequence[Fault]: ...


class AgentPages:
    """The pages of the status server; each answer is made on the spot and waits for nothing."""

    def __init__(self, id_: str, supervisor: Supervisor, contained: Discovered) -> None:
        self._id = id_
        self._supervisor = supervisor
        self._contained = contained

    def live(self) -> Verdict:
        """Whether every loop turns."""
        now_s = time.monotonic()
        hanging = [
            f"probe {service.plan.key}"
            for service in self._supervisor.services
            if not service.worker.stopping
            and now_s - service.worker.beat_s > service.worker.longest_turn_s + SLACK_S
        ]
        if now_s - self._supervisor.keeper.beat_s > LONGEST_TURN_S:
            hanging.append("keeper")
        docker = self._contained.containers
        if docker is not None and now_s - docker.beat_s > LONGEST_DOCKER_S:
            hanging.append("docker")
        if hanging:
            return Verdict(False, f"not turning: {', '.join(hanging)}")
        return Verdict(True, "every loop turns")

    def ready(self) -> Verdict:
        """Whether every service is registered, and Docker has told which there are."""
        docker = self._contained.containers
        if docker is not None and not docker.seen:
            return Verdict(False, docker.away or "Docker has not told its containers yet")
        if self._contained.faults and not self._supervisor.services:
            return Verdict(False, self._contained.faults[0].text)
        absent = [s.plan.key for s in self._supervisor.services if not _registered(s)]
        if absent:
            return Verdict(False, f"not registered: {', '.join(absent)}")
        return Verdict(True, "registered")

    def line(self) -> str:
        """Return the whole in a few words, for `systemctl status`."""
        services = self._supervisor.services
        docker = self._contained.containers
        away = self._supervisor.keeper.away or (docker and docker.away)
        if len(services) == 1 and docker is None:
            place = services[0].registration.place
            if place is Place.REGISTERED and not _registered(services[0]):
                place = Place.ABSENT  # its lease has run out meanwhile
            said = f"{services[0].tally.state.value}, {place.value}"
        else:
            said = f"{sum(map(_registered, services))} of {len(services)} services registered"
        return f"{said}; {away}" if away else said

    def status(self) -> object:
        said: dict[str, object] = {
            "version": secretary.__version__,
            "id": self._id,
            "etcd": self._supervisor.keeper.away or "ok",
        }
        if (docker := self._contained.containers) is not None:
            said["docker"] = docker.away or "ok"
            said["faults"] = [
                {"container": fault.container, "text": fault.text}
                for fault in self._contained.faults
            ]
        said["services"] = [_service(service) for service in self._supervisor.services]
        return said

    def metrics(self) -> Sequence[Family]:
        services = self._supervisor.services
        keeper = self._supervisor.keeper
        return [
            Family(
                "secretary_probes_total",
                Kind.COUNTER,
                "Probes by what they said of the app.",
                [
                    Sample((*labels, ("outcome", outcome.value)), s.tally.outcomes[outcome])
                    for s, labels in _labelled(services)
                    for outcome in Outcome
                ],
            ),
            Family(
                "secretary_probe_seconds",
                Kind.HISTOGRAM,
                "How long probes took.",
                [Sample(labels, s.tally.seconds.histogram()) for s, labels in _labelled(services)],
            ),
            Family(
                "secretary_state",
                Kind.GAUGE,
                "1 for the state that the app is in, 0 for the others.",
                [
                    Sample((*labels, ("state", state.value)), float(s.tally.state is state))
                    for s, labels in _labelled(services)
                    for state in State
                ],
            ),
            Family(
                "secretary_transitions_total",
                Kind.COUNTER,
                "Changes of state, by the state entered.",
                [
                    Sample((*labels, ("state", state.value)), s.tally.transitions[state])
                    for s, labels in _labelled(services)
                    for state in State
                ],
            ),
            Family(
                "secretary_registered",
                Kind.GAUGE,
                "1 while the record stands in etcd, as far as is known here.",
                [Sample(labels, float(_registered(s))) for s, labels in _labelled(services)],
            ),
            Family(
                "secretary_registrations_total",
                Kind.COUNTER,
                "Records written under a fresh lease.",
                [Sample(labels, s.registration.registrations) for s, labels in _labelled(services)],
            ),
            Family(
                "secretary_lease_left_seconds",
                Kind.GAUGE,
                "Until the lease expires unless it is renewed; 0 without a lease.",
                [Sample(labels, s.registration.lease_left_s) for s, labels in _labelled(services)],
            ),
            Family(
                "secretary_etcd_errors_total",
                Kind.COUNTER,
                "Calls and turns that etcd did not answer, or refused.",
                [Sample((), keeper.errors)],
            ),
            Family(
                "secretary_etcd_reachable",
                Kind.GAUGE,
                "1 unless the last call went unanswered.",
                [Sample((), float(keeper.away is None))],
            ),
            *self._docker_metrics(),
        ]

    def _docker_metrics(self) -> Iterator[Family]:
        if (docker := self._contained.containers) is None:
            return
        yield Family(
            "secretary_docker_reachable",
            Kind.GAUGE,
            "1 while Docker tells what becomes of its containers.",
            [Sample((), float(docker.away is None))],
        )
        yield Family(
            "secretary_docker_errors_total",
            Kind.COUNTER,
            "Calls and event streams that Docker did not answer, or refused.",
            [Sample((), docker.errors)],
        )
        yield Family(
            "secretary_containers",
            Kind.GAUGE,
            "Containers that run, of those that are watched.",
            [Sample((), len(docker.running))],
        )
        yield Family(
            "secretary_faulty_containers",
            Kind.GAUGE,
            "Containers without a record because something is wrong with their labels, networks or"
            " ports.",
            [Sample((), len({fault.container for fault in self._contained.faults}))],
        )


def _registered(service: Service) -> bool:
    """Whether the record stands, as far as we can know: etcd may be away, and the lease over."""
    registration = service.registration
    return registration.place is Place.REGISTERED and registration.lease_left_s > 0


def _labelled(services: Sequence[Service]) -> Iterator[tuple[Service, Labels]]:
    for service in services:
        yield service, (("service", service.plan.instance.name), ("key", service.plan.key))


def _service(service: Service) -> dict[str, object]:
    tally, registration, last = service.tally, service.registration, service.tally.last
    return {
        "name": service.plan.instance.name,
        "key": service.plan.key,
        "addr": service.plan.instance.addr,
        **({"container": container.name} if (container := service.plan.container) else {}),
        "state": tally.state.value,
        "since": _time(tally.state_since),
        "probe": service.plan.probe_settings.target,
        "last_probe": last
        and {
            "at": _time(tally.last_at),
            "outcome": last.outcome.value,
            "detail": last.detail,
            "seconds": round(last.duration_s, 4),
        },
        "place": registration.place.value,
        "registered": _registered(service),
        "lease": f"{registration.lease:x}" if registration.lease is not None else None,
        "lease_left_s": round(registration.lease_left_s, 1),
        "holder": registration.holder,
        "last_error": registration.trouble,
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
