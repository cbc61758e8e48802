"""Containers become plans: the same ones while nothing changes, and one's fault is its own."""

import logging
from typing import Any

import pytest

from secretary.agent.contained import Contained
from secretary.agent.pages import AgentPages
from secretary.agent.planner import Planner
from secretary.agent.ports import Chosen, Probe
from secretary.agent.supervisor import Supervisor
from secretary.core.container import Container
from secretary.core.errors import AddressError
from secretary.core.resolve import resolve
from secretary.core.resolve_host import resolve_host
from secretary.core.settings import HostPort, ProbeSettings, RunSettings
from tests.fakes.containers import FakeContainers
from tests.fakes.probe import FakeProbe
from tests.fakes.registry import FakeRegistry
from tests.unit.core.containers import container, published
from tests.waiting import wait_for

HOST = resolve_host({"rise": ("1",), "interval": ("20ms",)}, {}, None).settings
SIDECAR = resolve({"container": ("web-1",), "name": ("web",)}, {}, None).settings


class World:
    """The host's address, and the probes that were made."""

    def __init__(self) -> None:
        self.ip: str | None = "10.0.0.5"
        self.targets: list[str] = []
        self.probe = FakeProbe()

    def choose(self, spec: str) -> Chosen:
        if self.ip is None:
            raise AddressError("--ip auto: no route to etcd")
        return Chosen(self.ip, "as the test says")

    def make_probe(self, settings: ProbeSettings, of: Container | None) -> Probe:
        self.targets.append(settings.target)
        return self.probe

    def planner(self, settings: RunSettings) -> Planner:
        return Planner(settings, "a", self.choose, self.make_probe)


@pytest.fixture
def world() -> World:
    return World()


def app(number: int, **labels: str) -> Container:
    """Return one of several containers, published on a port of its own."""
    said = {f"secretary.{name}": text for name, text in ({"name": "web"} | labels).items()}
    return container(
        said,
        id=f"{number:064x}",
        name=f"web-{number}",
        networks={"bridge": f"172.17.0.{number + 1}"},
        published=(published(8080, 32000 + number),),
    )


def test_a_container_becomes_a_plan_with_the_apps_own_address_to_probe(world: World) -> None:
    (plan,), faults = world.planner(HOST).contained([app(1)])
    assert plan.key == "/services/web/10.0.0.5:32001"
    assert plan.instance.addr == "10.0.0.5:32001"
    assert world.targets == ["tcp://172.17.0.2:8080"]
    assert faults == ()


def test_what_does_not_change_keeps_its_plan(world: World) -> None:
    planner = world.planner(HOST)
    (before,), _ = planner.contained([app(1)])
    (first, second), _ = planner.contained([app(1), app(2)])
    assert first is before
    assert second is not before
    assert len(world.targets) == 2


def test_another_life_of_a_container_is_another_app_at_the_same_address(world: World) -> None:
    planner = world.planner(HOST)
    (before,), _ = planner.contained([app(1)])
    again = container(
        app(1).labels, id=app(1).id, name="web-1", life=1, published=app(1).published,
        networks=app(1).networks,
    )  # fmt: skip
    (after,), _ = planner.contained([again])
    assert after.key == before.key
    assert after.endpoint != before.endpoint
    assert after.instance.id != before.instance.id


def test_each_service_has_an_id_of_its_own(world: World) -> None:
    plans, _ = world.planner(HOST).contained([app(1), app(2)])
    assert len({plan.instance.id for plan in plans}) == 2


def test_a_label_that_does_not_parse_disables_that_container_only_and_is_said_once(
    world: World, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    contained = Contained(supervisor, world.planner(HOST), ())
    contained.containers = FakeContainers((app(1, port="x"), app(2)))
    contained.start()
    contained.changed()
    (service,) = supervisor.services
    assert service.plan.container is not None
    assert service.plan.container.name == "web-2"
    assert [fault.container for fault in contained.faults] == ["web-1"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert len(warnings) == 1
    assert warnings[0].startswith("container web-1: label secretary.port: got 'x', allowed:")


def test_of_two_containers_with_one_key_the_elder_has_it(world: World) -> None:
    planner = world.planner(resolve_host({"key-by": ("ip",)}, {}, None).settings)
    younger = container(
        {"secretary.name": "web"}, id="0" * 64, name="young",
        started_at="2026-11-21T03:00:00Z", published=(published(8080, 1),),
    )  # fmt: skip
    plans, faults = planner.contained([younger, app(2)])
    assert [plan.container and plan.container.name for plan in plans] == ["web-2"]
    assert faults[0].container == "young"
    assert "have the same key /services/web/10.0.0.5; --key-by ip-port" in faults[0].text


def test_an_address_that_cannot_be_told_is_asked_for_again(world: World) -> None:
    """It is no fault of the container: etcd's name may not resolve yet."""
    planner = world.planner(HOST)
    world.ip = None
    plans, faults = planner.contained([app(1)])
    assert (plans, faults[0].text) == ([], "container web-1: --ip auto: no route to etcd")
    world.ip = "10.0.0.5"
    plans, faults = planner.contained([app(1)])
    assert (len(plans), faults) == (1, ())


def test_a_containers_address_is_not_taken_for_the_hosts(world: World) -> None:
    """An agent in a container of its own would publish what nobody can reach."""
    world.ip = "172.17.0.9"
    agent = container(id="f" * 64, name="agent", networks={"bridge": "172.17.0.9"})
    plans, faults = world.planner(HOST).contained([app(1), agent])
    assert plans == []
    assert "172.17.0.9 is container agent's and not this host's" in faults[0].text


def test_a_sidecar_has_one_container_by_name_or_id_and_waits_for_it(world: World) -> None:
    planner = world.planner(SIDECAR)
    plans, faults = planner.contained([])
    assert (plans, faults[0].text) == ([], "container web-1: does not run; waiting")
    (plan,), faults = planner.contained([container(), app(2)])
    assert (plan.instance.addr, faults) == ("172.17.0.2:8080", ())
    by_id = resolve({"container": ("a1" * 6,), "name": ("web",)}, {}, None).settings
    assert len(world.planner(by_id).contained([container(), app(2)])[0]) == 1


def test_a_short_name_is_no_beginning_of_an_id(world: World) -> None:
    """A container called db may be away, and another's id begin so."""
    by_name = resolve({"container": ("a1",), "name": ("web",)}, {}, None).settings
    plans, faults = world.planner(by_name).contained([container(id="a1" * 32, name="shop")])
    assert (plans, faults[0].text) == ([], "container a1: does not run; waiting")


def test_that_one_does_not_run_is_known_only_when_docker_has_told_all(world: World) -> None:
    assert world.planner(SIDECAR).contained([], is_all=False) == ([], ())


def test_what_nobody_foresaw_in_one_container_is_its_own_fault(world: World) -> None:
    class Broken(World):
        def make_probe(self, settings: ProbeSettings, of: Container | None) -> Probe:
            if of is not None and of.name == "web-1":
                raise RuntimeError("gone mad")
            return self.probe

    plans, faults = Broken().planner(HOST).contained([app(1), app(2)])
    assert [plan.container and plan.container.name for plan in plans] == ["web-2"]
    assert "unforeseen: RuntimeError('gone mad')" in faults[0].text


def test_records_follow_the_containers(
    world: World, registry: FakeRegistry, supervisor: Supervisor
) -> None:
    contained = Contained(supervisor, world.planner(HOST), ())
    docker = contained.containers = FakeContainers((app(1), app(2)))
    contained.start()
    keys = [f"/services/web/10.0.0.5:3200{number}" for number in (1, 2)]
    wait_for(lambda: all(registry.find(key) for key in keys))
    docker.running = (app(2),)
    contained.changed()
    wait_for(lambda: registry.find(keys[0]) is None)
    assert registry.find(keys[1]) is not None
    docker.running = (app(1), app(2))
    contained.changed()
    wait_for(lambda: registry.find(keys[0]) is not None)


def test_nothing_begins_once_all_is_to_stop(
    world: World, registry: FakeRegistry, supervisor: Supervisor
) -> None:
    """Docker's thread may still be telling something."""
    contained = Contained(supervisor, world.planner(HOST), ())
    docker = contained.containers = FakeContainers()
    contained.start()
    contained.stop(1)
    docker.running = (app(1),)
    contained.changed()
    assert supervisor.services == ()


def test_the_pages_tell_of_docker_and_of_faults(world: World, supervisor: Supervisor) -> None:
    contained = Contained(supervisor, world.planner(HOST), ())
    docker = contained.containers = FakeContainers((app(1, port="x"), app(2)))
    contained.start()
    pages: Any = AgentPages("a", supervisor, contained)
    status = pages.status()
    assert status["docker"] == "ok"
    assert [fault["container"] for fault in status["faults"]] == ["web-1"]
    assert [service["container"] for service in status["services"]] == ["web-2"]
    docker.away, docker.seen = "Docker does not answer", False
    assert pages.status()["docker"] == "Docker does not answer"
    assert not pages.ready().ok
    assert pages.live().ok
    docker.beat_s -= 1000
    assert pages.live().text == "not turning: docker"
    values = {family.name: family.samples[0].value for family in pages.metrics() if family.samples}
    assert values["secretary_docker_reachable"] == 0
    assert (values["secretary_containers"], values["secretary_faulty_containers"]) == (2, 1)


def test_a_probe_without_a_host_is_asked_where_the_app_is(world: World) -> None:
    flags = {"name": ("web",), "port": ("8080",), "probe": ("/up",)}
    planner = world.planner(resolve(flags, {}, None).settings)
    (plan,) = planner.fixed()
    assert plan.probe_settings.target == "http://10.0.0.5:8080/up"
    assert plan.instance.addr == str(HostPort("10.0.0.5", 8080))
