"""What the roster relies on in Docker, held for the fake and for a real daemon alike."""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from secretary.agent.discovery.docker import Docker
from secretary.agent.discovery.docker_events import Event
from secretary.agent.discovery.door import Door
from secretary.agent.discovery.inspected import Inspected
from secretary.agent.discovery.roster import Roster
from secretary.core.container import Health, NetworkMode
from secretary.core.errors import DockerRefused
from tests.etcd_bed import Certificates
from tests.fakes.docker import FakeDocker
from tests.system.docker_bed import Docker as DockerCommand
from tests.system.dockerd import Dockerd
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(900)

IGNORES_SIGTERM = (
    "python3", "-c", "import signal; signal.signal(15, lambda *_: 0)\nwhile 1: signal.pause()",
)  # fmt: skip


class Host(Protocol):
    """What an operator does, by the container's name."""

    @property
    def door(self) -> Door: ...

    def run(self, name: str) -> str: ...

    def pause(self, name: str) -> None: ...

    def unpause(self, name: str) -> None: ...

    def start(self, name: str) -> None: ...

    def stop(self, name: str) -> None: ...

    def kill(self, name: str, signal: int = 9, *, ends: bool = True) -> None: ...

    def remove(self, name: str) -> None: ...

    def rename(self, name: str, to: str) -> None: ...

    def disconnect(self, name: str) -> None: ...

    def guest(self, name: str, owner: str) -> str: ...

    def sick(self, name: str) -> str:
        """Run one whose HEALTHCHECK fails."""
        ...


class FakeHost(FakeDocker):
    @property
    def door(self) -> Door:
        return self

    def guest(self, name: str, owner: str) -> str:
        found = self._named(owner)
        return self.run(name, network_of=found.id)

    def sick(self, name: str) -> str:
        id_ = self.run(name, health=Health.STARTING)
        self.check_health(name, Health.UNHEALTHY)
        return id_


class RealHost:
    """Goes through the docker command, and is looked at through the door under test."""

    def __init__(self, command: DockerCommand) -> None:
        self._command = command
        self.door: Door = Docker(os.environ | command.environ())
        self._made: list[str] = []

    def run(self, name: str, *flags: str) -> str:
        image = self._command.base_image
        ran = self._command("run", "--detach", "--name", name, *flags, image, *IGNORES_SIGTERM)
        id_ = ran.stdout.strip()
        self._made.append(id_)
        # Its handler has to be there before a signal comes.
        caught = f"/proc/{self._command.inspect(id_)['State']['Pid']}/status"
        wait_for(lambda: _catches_sigterm(caught))
        return id_

    def guest(self, name: str, owner: str) -> str:
        return self.run(name, "--network", f"container:{owner}")

    def sick(self, name: str) -> str:
        return self.run(name, "--health-cmd", "false", "--health-interval", "1s",
                        "--health-retries", "1")  # fmt: skip

    def pause(self, name: str) -> None:
        self._command("pause", name)

    def unpause(self, name: str) -> None:
        self._command("unpause", name)

    def start(self, name: str) -> None:
        self._command("start", name)

    def stop(self, name: str) -> None:
        self._command("stop", "--time", "0", name)

    def kill(self, name: str, signal: int = 9, *, ends: bool = True) -> None:
        self._command("kill", "--signal", str(signal), name)
        if ends:
            self._command("wait", name)

    def remove(self, name: str) -> None:
        self._command("rm", "--force", name)

    def rename(self, name: str, to: str) -> None:
        self._command("rename", name, to)

    def disconnect(self, name: str) -> None:
        self._command("network", "disconnect", "bridge", name)

    def close(self) -> None:
        self._command("rm", "--force", "--volumes", *self._made, check=False)
        self.door.close()


def _catches_sigterm(status: str) -> bool:
    with open(status) as lines:
        caught = next(line for line in lines if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & 1 << 14)


@pytest.fixture
def name() -> str:
    return f"web-{uuid.uuid4().hex[:8]}"


class Heard:
    """Events of one container, read in a thread until `end()`."""

    def __init__(self, door: Door) -> None:
        self._stream = door.events()
        self._events: list[Event] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def of(self, id_: str) -> list[Event]:
        return [event for event in self._events if event.container == id_]

    def actions(self, id_: str) -> list[str]:
        return [event.action for event in self.of(id_)]

    def wait_for(self, id_: str, action: str) -> Event:
        return wait_for(
            lambda: next((each for each in self.of(id_) if each.action == action), None),
            what=f"{action} is told",
        )

    def end(self) -> None:
        self._stream.close()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _read(self) -> None:
        for event in self._stream:
            self._events.append(event)


@pytest.fixture
def heard(host: Host) -> Iterator[Heard]:
    heard = Heard(host.door)
    yield heard
    heard.end()


def seen(host: Host, ref: str) -> Inspected:
    found = host.door.inspect(ref)
    assert found is not None
    return found


class Contract:
    """Both tell the same, in the same order."""

    def test_a_container_is_found_by_name_id_and_the_beginning_of_it(
        self, host: Host, name: str
    ) -> None:
        id_ = host.run(name)
        found = seen(host, id_)
        assert found == seen(host, name) == seen(host, id_[:12])
        assert (found.id, found.container.name, found.serves) == (id_, name, True)
        assert (found.stop_signal, found.health, found.network_of) == (15, Health.NONE, None)
        assert found.container.network_mode is NetworkMode.OWN
        assert list(found.container.networks) == ["bridge"]
        assert id_ in host.door.containers()
        assert host.door.inspect(f"{name}-other") is None

    def test_a_start_is_told_after_the_container_serves(
        self, host: Host, heard: Heard, name: str
    ) -> None:
        id_ = host.run(name)
        start = heard.wait_for(id_, "start")
        assert start.name == name
        assert start.at_ns >= seen(host, id_).started_ns
        assert heard.actions(id_) == ["connect", "start"]

    def test_a_kill_is_told_before_the_death(self, host: Host, heard: Heard, name: str) -> None:
        id_ = host.run(name)
        host.kill(name)
        heard.wait_for(id_, "disconnect")
        assert heard.actions(id_)[2:] == ["kill", "die", "disconnect"]
        kill, die = heard.of(id_)[2:4]
        assert (kill.detail, die.detail, kill.name) == ("9", "137", name)
        assert seen(host, id_).started_ns <= kill.at_ns <= die.at_ns
        assert not seen(host, id_).serves
        assert id_ not in host.door.containers()

    def test_a_signal_that_ends_nothing_is_told_alone(
        self, host: Host, heard: Heard, name: str
    ) -> None:
        id_ = host.run(name)
        host.kill(name, 15, ends=False)
        assert heard.wait_for(id_, "kill").detail == "15"
        assert seen(host, id_).serves
        host.kill(name)
        heard.wait_for(id_, "die")

    def test_a_stop_is_told_in_full(self, host: Host, heard: Heard, name: str) -> None:
        id_ = host.run(name)
        host.stop(name)
        heard.wait_for(id_, "stop")
        first = heard.of(id_)[2]
        assert (first.action, first.detail) == ("kill", "15")
        assert heard.actions(id_)[-1] == "stop"
        assert "die" in heard.actions(id_)

    def test_what_is_paused_does_not_serve_and_is_listed(
        self, host: Host, heard: Heard, name: str
    ) -> None:
        id_ = host.run(name)
        before = seen(host, id_)
        host.pause(name)
        heard.wait_for(id_, "pause")
        assert not seen(host, id_).serves
        assert id_ in host.door.containers()
        host.unpause(name)
        heard.wait_for(id_, "unpause")
        assert seen(host, id_) == before

    def test_another_start_has_another_time(self, host: Host, heard: Heard, name: str) -> None:
        id_ = host.run(name)
        before = seen(host, id_)
        host.kill(name)
        host.start(name)
        after = seen(host, id_)
        assert after.serves
        assert after.started_ns > before.started_ns
        assert before.started_ns < heard.wait_for(id_, "die").at_ns < after.started_ns

    def test_what_is_removed_is_gone(self, host: Host, heard: Heard, name: str) -> None:
        id_ = host.run(name)
        host.remove(name)
        heard.wait_for(id_, "destroy")
        assert host.door.inspect(id_) is None

    def test_a_rename_is_told_by_the_new_name(self, host: Host, heard: Heard, name: str) -> None:
        id_ = host.run(name)
        host.rename(name, f"{name}-new")
        assert heard.wait_for(id_, "rename").name == f"{name}-new"
        assert seen(host, id_).container.name == f"{name}-new"

    def test_a_network_that_is_left_is_told_and_gone(
        self, host: Host, heard: Heard, name: str
    ) -> None:
        id_ = host.run(name)
        host.disconnect(name)
        heard.wait_for(id_, "disconnect")
        assert seen(host, id_).container.networks == {}

    def test_a_guest_is_where_its_host_is_until_that_begins_anew(
        self, host: Host, name: str
    ) -> None:
        owner = host.run(name)
        guest = host.guest(f"{name}-guest", name)
        assert seen(host, guest).network_of == owner
        assert seen(host, guest).container.networks == seen(host, owner).container.networks
        host.kill(name)
        assert seen(host, guest).container.networks == {}
        host.start(name)
        assert seen(host, owner).container.networks != {}
        assert seen(host, guest).container.networks == {}

    def test_a_health_check_that_fails_is_told(self, host: Host, heard: Heard, name: str) -> None:
        id_ = host.sick(name)
        assert heard.wait_for(id_, "health_status").detail == "unhealthy"
        assert seen(host, id_).health is Health.UNHEALTHY

    def test_a_stream_that_is_closed_ends_quietly(self, host: Host) -> None:
        heard = Heard(host.door)
        heard.end()
        heard.end()


class TestFake(Contract):
    @pytest.fixture
    def host(self) -> Host:
        return FakeHost()


@pytest.mark.docker
@pytest.mark.root
class TestDaemon(Contract):
    @pytest.fixture
    def host(self, docker: DockerCommand) -> Iterator[Host]:
        real = RealHost(docker)
        yield real
        real.close()


@pytest.mark.docker
@pytest.mark.root
@pytest.mark.usefixtures("docker")
def test_a_roster_outlives_a_real_daemon() -> None:
    with Dockerd() as daemon:
        roster = Roster(Docker({"DOCKER_HOST": daemon.host}), lambda: None, lambda _: None)
        roster.start()
        try:
            wait_for(lambda: roster.seen)
            daemon.stop()
            away = wait_for(lambda: roster.away)
            assert away.startswith(f"Docker at {daemon.host} does not answer: ")
            daemon.start()
            wait_for(lambda: roster.away is None)
        finally:
            roster.stop(5)


@pytest.mark.docker
@pytest.mark.root
@pytest.mark.usefixtures("docker")
def test_a_real_daemon_is_asked_over_tls(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    for name, source in (
        ("ca.pem", certificates.cacert),
        ("cert.pem", certificates.client_cert),
        ("key.pem", certificates.client_key),
    ):
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(source)
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    # fmt: off
    options = ("--host", url, "--tlsverify", "--tlscacert", certificates.cacert,
               "--tlscert", certificates.server_cert, "--tlskey", certificates.server_key)
    # fmt: on
    environ = {"DOCKER_HOST": url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    with Dockerd(*options):
        door = Docker(environ)
        assert door.containers() == []
        Heard(door).end()
        door.close()
        (tmp_path / "cert.pem").unlink()
        (tmp_path / "cert.pem").symlink_to(certificates.other_client_cert)
        (tmp_path / "key.pem").unlink()
        (tmp_path / "key.pem").symlink_to(certificates.other_client_key)
        with pytest.raises(DockerRefused, match=r"TLS fails: .*; see DOCKER_CERT_PATH"):
            Docker(environ).containers()
