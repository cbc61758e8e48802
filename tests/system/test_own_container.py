"""The secretary's image in the network of the app's container, with Docker's socket and without."""

from dataclasses import dataclass

import pytest

from secretary.core import record
from secretary.devetcd import binary
from tests.etcd_bed import Etcdctl, Seen
from tests.secretaries import run
from tests.system.containers_bed import PORT, Box, Boxes, boxes, images
from tests.system.docker_bed import Docker
from tests.waiting import wait_for

__all__ = ["boxes", "images"]
pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]
_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Beside:
    """Starts secretaries beside boxes; etcd is in a container too, since these must reach it."""

    boxes: Boxes
    url: str

    @property
    def etcdctl(self) -> Etcdctl:
        return Etcdctl([self.url])

    def start(self, app: Box, *arguments: str, socket: bool) -> Box:
        """Run the secretary in the app's network, as the image's own user."""
        docker = self.boxes.docker
        options = [f"--network=container:{app.name}"]
        if socket:
            path = docker.socket()
            options += [f"--volume={path}:{_SOCKET}", f"--group-add={path.stat().st_gid}"]
        given = ("run", "--etcd", self.url, "--interval", "500ms", "--ttl", "5s", *arguments)
        # fmt: off
        return self.boxes.start(
            "secretary", {}, *options, image=docker.image, command=given
        )
        # fmt: on

    def registered(self, key: str, secretary: Box) -> Seen:
        """Wait until the key is there, and return what stands under it."""
        try:
            return wait_for(lambda: self.etcdctl.get(key), timeout_s=20)
        except AssertionError:
            print(secretary.log())  # noqa: T201 - pytest shows it with the failure
            raise


@pytest.fixture
def beside(docker: Docker, boxes: Boxes) -> Beside:
    anywhere = "http://0.0.0.0:2379"
    # fmt: off
    box = boxes.start(
        "etcd", {}, f"--volume={binary('etcd')}:/etcd:ro", image=docker.base_image,
        command=("/etcd", f"--listen-client-urls={anywhere}", f"--advertise-client-urls={anywhere}",
                 "--data-dir=/data"),
    )
    # fmt: on
    beside = Beside(boxes, f"http://{box.ip()}:2379")

    def etcd_answers() -> bool:
        try:
            return beside.etcdctl.revision() > 0
        except AssertionError:
            return False

    wait_for(etcd_answers, timeout_s=20)
    return beside


def test_self_is_the_container_whose_network_is_shared(boxes: Boxes, beside: Beside) -> None:
    app = boxes.start("app", {".name": "web", ".port": f"{PORT}", ".weight": "3"})
    key = f"/services/web/{app.ip()}"
    secretary = beside.start(app, "--container", "self", socket=True)
    instance = record.decode(key, beside.registered(key, secretary).value)
    assert (instance.addr, instance.weight) == (f"{app.ip()}:{PORT}", 3)

    secretary("stop", "--time", "20")
    assert secretary.told()["State"]["ExitCode"] == 0
    assert beside.etcdctl.get(key) is None

    secretary("start")
    beside.registered(key, secretary)
    app("kill")  # and with it goes the network that both share
    wait_for(lambda: beside.etcdctl.get(key) is None, timeout_s=20)


def test_without_container_the_socket_is_not_needed(boxes: Boxes, beside: Beside) -> None:
    app = boxes.start("app", {".name": "labelled"})
    secretary = beside.start(app, "--name", "web", "--port", str(PORT), socket=False)
    beside.registered(f"/services/web/{app.ip()}", secretary)
    assert "Docker" not in secretary.log()


@pytest.mark.parametrize("verb", [("host",), ("run", "--container", "web")])
def test_a_socket_that_it_may_not_open_is_one_clear_line(
    docker: Docker, verb: tuple[str, ...]
) -> None:
    mounted = f"--volume={docker.socket()}:{_SOCKET}"
    done = docker("run", "--rm", "--network=none", mounted, docker.image, *verb, check=False)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("WARNING: ")]
    assert _SOCKET in line
    assert "permission" in line.lower() or "may not" in line


def test_self_means_nothing_outside_of_a_container() -> None:
    told = run("run", "--container", "self", "--name", "web", "--port", "1")
    assert told.returncode == 2
    assert "--container" in told.stderr
    assert len(told.stderr.splitlines()) == 1
