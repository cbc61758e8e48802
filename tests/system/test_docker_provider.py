"""Machines on a real Docker daemon: their loads, their ends, and what is left when one fails."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest

from secretary.agent.discovery.docker import Docker as Door
from secretary.core.errors import AddressError, CloudRefused
from secretary.core.resolve_container import services
from secretary.core.resolve_host import resolve_host
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.core.settings import HostPort
from secretary.scaler.ports import Provider, Seen, Standing
from secretary.scaler.providers.docker import open_docker
from tests.contract.docker_provider_bed import machine_image
from tests.system.docker_bed import Docker
from tests.waiting import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]

PROGRAM = """
import os, signal
def end(*_):
    print("ended in order", flush=True)
    raise SystemExit
signal.signal(signal.SIGTERM, end)
does = os.environ.get("USER_DATA", "")
if does == "dies":
    raise SystemExit(7)
print("ready", flush=True)
while does == "works":
    pass
while True:
    signal.pause()
"""
"""Does what its user data says."""


@pytest.fixture(scope="module")
def image(docker: Docker) -> Iterator[str]:
    with machine_image(docker, "told", PROGRAM, "SIGTERM") as image:
        yield image


class Machines:
    """Providers of one group, and what an operator sees of their machines."""

    def __init__(self, docker: Docker, image: str, tmp_path: Path) -> None:
        self.docker = docker
        self._image = image
        self._tmp_path = tmp_path
        self.group = f"web{uuid.uuid4().hex[:6]}"
        self._open = ExitStack()
        self._numbers = iter(range(100))

    def provider(self, does: str = "", **what: Any) -> Provider:
        """Return a provider whose machines do as their user data says."""
        script = self._tmp_path / f"does-{next(self._numbers)}"
        script.write_text(does)
        machine = MachineSettings(**{"image": self._image, "user_data": str(script)} | what)
        group = ScaleGroup(
            name=self.group, service="shop", provider=ProviderName.DOCKER, machine=machine,
            port=8000, probe="tcp://:8000",
        )  # fmt: skip
        opened = open_docker(group, os.environ | self.docker.environ())
        return self._open.enter_context(closing(opened))

    def up(self, provider: Provider) -> Seen:
        """Make a machine, and wait until its program runs."""
        made = provider.create(f"{self.group}-{next(self._numbers)}")
        self.wait_for(made.name)
        return made

    def wait_for(self, name: str) -> None:
        wait_for(lambda: "ready" in self.docker("logs", name).stdout)

    @contextmanager
    def followed(self, name: str) -> Iterator[Callable[[], str]]:
        """Follow a machine's log; the function returns all of it when the machine has ended."""
        command = ["docker", *self.docker.flags(), "logs", "--follow", name]
        with Popen(command, stdout=PIPE, text=True) as following:
            assert following.stdout is not None
            assert following.stdout.readline() == "ready\n"  # now it follows
            yield lambda: following.communicate(timeout=60)[0]

    def ids(self) -> list[str]:
        label = f"label=secretary-{self.group}"
        return self.docker("ps", "--all", "--quiet", "--filter", label).stdout.split()

    def close(self) -> None:
        self._open.close()
        if ids := self.ids():
            self.docker("rm", "--force", "--volumes", *ids)


@pytest.fixture
def machines(docker: Docker, image: str, tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(docker, image, tmp_path)
    yield machines
    machines.close()


@pytest.fixture
def network(docker: Docker) -> Iterator[str]:
    name = f"net{uuid.uuid4().hex[:6]}"
    docker("network", "create", name)
    yield name
    docker("network", "rm", name)


def only(provider: Provider) -> Seen:
    (seen,) = provider.machines()
    return seen


def registered(machines: Machines, made: Seen) -> HostPort:
    """Return where the agent of the Docker host says that the machine's service is."""
    with closing(Door(os.environ | machines.docker.environ())) as door:
        found = door.inspect(made.provider_id)
    assert found is not None

    def host_ip(_: str) -> str:
        raise AddressError("the host's address is not asked for")

    (rules,) = resolve_host({}, {}, None).settings.containers
    ((settings, _),) = services(found.container, rules, host_ip)
    assert settings.name == "shop"
    assert settings.ip is not None
    assert settings.port is not None
    return HostPort(settings.ip, settings.port)


def test_the_hosts_agent_registers_it_at_the_address_that_the_inventory_has(
    machines: Machines,
) -> None:
    provider = machines.provider()
    made = machines.up(provider)
    assert made.address is not None
    assert registered(machines, made) == HostPort(made.address, 8000)


def test_a_machine_on_a_network_has_its_address_there(network: str, machines: Machines) -> None:
    made = machines.up(machines.provider(network=network))
    networks = machines.docker.inspect(made.name)["NetworkSettings"]["Networks"]
    assert list(networks) == [network]
    assert made.address is not None
    assert made.address == networks[network]["IPAddress"]
    assert registered(machines, made) == HostPort(made.address, 8000)


def test_the_load_is_that_of_what_it_may_use(machines: Machines) -> None:
    """One that works all the time uses all of its half of a core, and one that waits nothing."""
    busy, idle = machines.provider("works", size="0.5:64m"), machines.provider(size="0.5")
    works, waits = machines.up(busy), machines.up(idle)

    def both_are_told_apart() -> bool:
        load = busy.cpu([works.provider_id, waits.provider_id])
        return load[works.provider_id] > 50 and load[waits.provider_id] < 20

    wait_for(both_are_told_apart, timeout_s=60)
    config = machines.docker.inspect(works.name)["HostConfig"]
    assert (config["NanoCpus"], config["Memory"]) == (500_000_000, 64 << 20)


def test_a_machine_that_does_not_run_has_no_load(machines: Machines) -> None:
    provider = machines.provider()
    made = machines.up(provider)
    machines.docker("stop", made.name)
    assert provider.cpu([made.provider_id]) == {}


def test_a_machine_that_was_stopped_is_broken(machines: Machines) -> None:
    provider = machines.provider()
    made = machines.up(provider)
    machines.docker("stop", made.name)
    seen = only(provider)
    assert (seen.standing, seen.address) == (Standing.BROKEN, None)
    assert seen.detail.startswith("Exited (0)")
    assert provider.delete(made.provider_id)
    assert machines.ids() == []


def test_a_machine_that_dies_is_started_again_and_says_how_it_ended(machines: Machines) -> None:
    provider = machines.provider("dies")
    provider.create(f"{machines.group}-dies")

    def it_is_restarting() -> bool:
        seen = only(provider)
        return seen.standing is Standing.BOOTING and seen.detail.startswith("Restarting (7)")

    wait_for(it_is_restarting, timeout_s=60)


def test_a_machine_is_asked_to_end_before_it_is_removed(machines: Machines) -> None:
    provider = machines.provider()
    made = machines.up(provider)
    with machines.followed(made.name) as said:
        assert provider.delete(made.provider_id)
        assert "ended in order" in said()
    assert not provider.delete(made.provider_id)


def test_a_machine_that_is_paused_can_be_deleted(machines: Machines) -> None:
    provider = machines.provider()
    made = machines.up(provider)
    machines.docker("pause", made.name)
    seen = only(provider)
    assert seen.standing is Standing.ACTIVE
    assert "Paused" in seen.detail
    assert provider.delete(made.provider_id)
    assert machines.ids() == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"network": "no-such-network"}, "no-such-network"),
        ({"size": "4096"}, "CPUs"),
        ({"size": "1:1k"}, "memory"),
        ({"image": "no-such-image:1"}, r"docker pull no-such-image:1"),
    ],
)
def test_what_cannot_be_made_is_refused_in_dockers_words_and_leaves_nothing(
    machines: Machines, what: dict[str, str], said: str
) -> None:
    provider = machines.provider(**what)
    with pytest.raises(CloudRefused, match=said):
        provider.create(f"{machines.group}-1")
    assert machines.ids() == []


def test_a_program_that_is_not_there_is_refused_and_leaves_nothing(
    machines: Machines, docker: Docker
) -> None:
    image = f"{docker.base_image}-empty"
    docker("build", "--tag", image, "-", stdin=f'FROM {docker.base_image}\nCMD ["/no/such"]\n')
    try:
        with pytest.raises(CloudRefused, match="/no/such"):
            machines.provider(image=image).create(f"{machines.group}-1")
        assert machines.ids() == []
    finally:
        docker("image", "rm", "--force", image)


def test_nothing_is_left_of_a_foreign_machine_that_was_tagged_and_deleted(
    machines: Machines, image: str
) -> None:
    provider = machines.provider()
    name = f"{machines.group}-foreign"
    id_ = machines.docker("run", "--detach", "--name", name, image).stdout.strip()
    machines.wait_for(name)
    provider.tag(id_)
    assert only(provider).name == name
    assert provider.delete(id_)
    assert provider.machines() == []
    filters = ("--filter", f"label=secretary-{machines.group}")
    assert machines.docker("volume", "ls", "--quiet", *filters).stdout == ""
