"""What services come to on this host: settings, and containers with labels, into plans.

How an address is found and how an app is asked are told by the two callables that it is given.
What is wrong with one container concerns that container alone.
"""

import hashlib
import logging
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from secretary.agent.ports import Chosen, Probe
from secretary.agent.service import Plan
from secretary.core import record, resolve_container
from secretary.core.container import Container
from secretary.core.errors import AddressError, RecordError, SettingsError
from secretary.core.instance import HOST_PATTERN, Instance
from secretary.core.settings import (
    ContainerRules,
    HostPort,
    ProbeSettings,
    RunSettings,
    ServiceSettings,
)
from secretary.core.target import located

_log = logging.getLogger(__name__)

Choose: TypeAlias = Callable[[str], Chosen]
"""Returns the address that `--ip` means on this host; may raise AddressError."""
MakeProbe: TypeAlias = Callable[[ProbeSettings, Container | None], Probe]
"""Returns the probe of an app, which may be in a container; may raise SettingsError."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a container has no record: a line of what is wrong with it."""

    container: str
    text: str


class Planner:
    """Plans for one state of the settings. For one thread at a time."""

    def __init__(
        self, settings: RunSettings, id_: str, choose: Choose, make_probe: MakeProbe
    ) -> None:
        """`id_` is the agent's, for this run."""
        self._settings = settings
        self._id = id_
        self._choose = choose
        self._make_probe = make_probe
        self._chosen: dict[str, Chosen] = {}
        self._known: dict[tuple[int, str], tuple[Container, list[Plan] | SettingsError]] = {}

    def fixed(self) -> list[Plan]:
        """Return the plans of the services that are no container's. SettingsError."""
        plans: dict[str, Plan] = {}
        for service in self._settings.services:
            plan = self.plan(service)
            if (other := plans.get(plan.key)) is not None:
                raise SettingsError(_same_key(plan, other))
            plans[plan.key] = plan
        return list(plans.values())

    def plan(self, service: ServiceSettings) -> Plan:
        """Return what a service that is no container's comes to here. SettingsError."""
        chosen = self._choose(service.ip)
        return self._plan(service, chosen.ip, self._id, None, chosen.why)

    def contained(
        self, running: Sequence[Container], fixed: Sequence[Plan] = (), *, is_all: bool = True
    ) -> tuple[list[Plan], tuple[Fault, ...]]:
        """Return the plans of the containers that run, and what is wrong with the others.

        `is_all` is False while there may be others that run. Of two that want one key, a fixed
        one has it, or the one that started earlier.
        """
        taken = {plan.key: plan for plan in fixed}
        plans, faults, seen = list[Plan](), list[Fault](), set[tuple[int, str]]()
        for number, rules in enumerate(self._settings.containers):
            found = [each for each in _by_age(running) if _is_meant(each, rules)]
            if rules.ref is not None and not found and is_all:
                faults.append(Fault(rules.ref, f"container {rules.ref}: does not run; waiting"))
            for container in found:
                seen.add((number, container.id))
                outcome = self._of(number, container, running)
                if isinstance(outcome, SettingsError):
                    faults.append(Fault(container.name, str(outcome)))
                    continue
                for plan in outcome:
                    if (other := taken.get(plan.key)) is None:
                        taken[plan.key] = plan
                        plans.append(plan)
                    else:
                        text = f"container {container.name}: {_same_key(plan, other)}"
                        faults.append(Fault(container.name, text))
        self._known = {key: known for key, known in self._known.items() if key in seen}
        return plans, tuple(faults)

    def _of(
        self, number: int, container: Container, running: Sequence[Container]
    ) -> list[Plan] | SettingsError:
        """Return a container's plans; the same ones as long as the container is the same."""
        known = self._known.get((number, container.id))
        if known is not None and known[0] == container:
            return known[1]
        rules = self._settings.containers[number]
        outcome: list[Plan] | SettingsError
        try:
            outcome = list(self._contained(container, rules, running))
        except AddressError as error:
            # Of this host, and not of the container: it may have one at the next look.
            return AddressError(f"container {container.name}: {error}")
        except SettingsError as error:
            outcome = error
        except Exception as error:
            _log.exception("container %s: unforeseen", container.name)
            outcome = SettingsError(f"container {container.name}: unforeseen: {error!r}")
        self._known[number, container.id] = container, outcome
        return outcome

    def _contained(
        self, container: Container, rules: ContainerRules, running: Sequence[Container]
    ) -> Iterator[Plan]:
        def host_ip(spec: str) -> str:
            return self._host_ip(spec, running)

        for service, why in resolve_container.services(container, rules, host_ip):
            # Of each of our services in each life of a container: no two of them are alike.
            whole = f"{self._id} {container.incarnation} {service.name} {service.port}"
            id_ = hashlib.sha256(whole.encode()).hexdigest()[:32]
            yield self._plan(service, service.ip, id_, container, why)

    def _plan(
        self, service: ServiceSettings, ip: str, id_: str, container: Container | None, why: str
    ) -> Plan:
        addr = HostPort(ip, service.port)
        fields = {
            "host": _host_name(),
            "ipv6_addr" if ":" in ip else "ipv4_addr": ip,
            "port": service.port,
            "addr": str(addr),
            "name": service.name,
            "id": id_,
            "weight": service.weight,
            "tags": service.tags,
            "meta": dict(service.meta),
            "state": "up",
            "since": datetime.now(UTC).replace(microsecond=0),
            "schema": record.SCHEMA,
        }
        of = f"container {container.name}: " if container is not None else ""
        try:
            instance = msgspec.convert(fields, Instance)
            record.encode(instance)
        except (RecordError, msgspec.ValidationError) as error:
            raise SettingsError(f"{of}{error}") from error
        at = service.probe_at or addr
        probe = service.probe or ProbeSettings(target=f"tcp://{at}", timeout_s=service.timeout_s)
        probe = msgspec.structs.replace(probe, target=located(probe.target, at))
        key = instance.key(service.prefix, service.key_by)
        made = self._make_probe(probe, container)
        return Plan(service, instance, key, probe, made, container, why)

    def _host_ip(self, spec: str, running: Sequence[Container]) -> str:
        if spec not in self._chosen:
            self._chosen[spec] = self._choose(spec)
        ip = self._chosen[spec].ip
        inside = next((each.name for each in running if ip in each.networks.values()), None)
        if inside is not None and ip != spec:
            raise AddressError(
                f"--ip {spec}: {ip} is container {inside}'s and not this host's: give the host's"
                " address as --ip, or run the secretary in the host's network"
            )
        return ip


def _is_meant(container: Container, rules: ContainerRules) -> bool:
    return rules.ref is None or container.answers_to(rules.ref)


def _by_age(running: Sequence[Container]) -> list[Container]:
    return sorted(running, key=lambda each: (each.started_at, each.id))


def _same_key(plan: Plan, other: Plan) -> str:
    return (
        f"services {other.instance.addr} and {plan.instance.addr} have the same key {plan.key};"
        " --key-by ip-port gives each port its own"
    )


def _host_name() -> str:
    """Return this host's name, as a record may hold it."""
    name = socket.gethostname()
    if re.search(HOST_PATTERN, name):
        return name
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:63] or "unnamed"
