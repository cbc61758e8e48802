"""Containers of a test's own, each with an app in it, and the secretaries that watch them."""

import http.client
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.secretaries import Secretary
from tests.system.docker_bed import Docker
from tests.waiting import wait_for

PORT: Final = 8080
"""Where the app listens in its container."""
_HERE = Path(__file__).parent
_CHECK = "HEALTHCHECK --interval=1s --timeout=5s --retries=1 CMD ! test -e /tmp/sick"
_QUICK = (
    *("--interval", "500ms", "--fast-interval", "100ms", "--timeout", "500ms"),
    *("--status", "127.0.0.1:0"),
)


@dataclass(frozen=True, slots=True)
class AppImages:
    """Names of images with the app: it declares no port, and one of them has a HEALTHCHECK."""

    plain: str
    checked: str


@contextmanager
def app_images(docker: Docker) -> Iterator[AppImages]:
    run = uuid.uuid4().hex[:8]
    images = AppImages(f"boxed-app:{run}", f"boxed-app-checked:{run}")
    try:
        for image, check in ((images.plain, ""), (images.checked, _CHECK)):
            # fmt: off
            docker(
                "build", "--tag", image, "--file", "-", str(_HERE),
                stdin=f"FROM {docker.base_image}\nCOPY boxed_app.py /\n{check}\n"
                       'ENTRYPOINT ["python3", "/boxed_app.py"]\n',
            )
            # fmt: on
        yield images
    finally:
        docker("image", "rm", "--force", images.checked, images.plain, check=False)


@dataclass(frozen=True, slots=True)
class Box:
    """A container. Its addresses are asked for each time, since they change."""

    docker: Docker
    name: str

    def ip(self, network: str = "bridge") -> str:
        """Return its own address there, or nothing."""
        networks = self.told()["NetworkSettings"]["Networks"]
        return str(networks.get(network, {}).get("IPAddress", ""))

    def addr(self, port: int = PORT) -> str:
        """Return where the host passes this port on."""
        return self.docker("port", self.name, f"{port}/tcp").stdout.split()[0]

    def log(self) -> str:
        done = self.docker("logs", self.name)
        return f"{done.stdout}{done.stderr}"

    def told(self) -> dict[str, Any]:
        return self.docker.inspect(self.name)

    def ask(self, path: str, *, ip: str | None = None) -> None:
        """Have the app do what the path says; whether it answers does not matter."""
        connection = http.client.HTTPConnection(ip or self.ip(), PORT, timeout=5)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def __call__(self, verb: str, *options: str) -> None:
        """Run `docker VERB` on it."""
        self.docker(verb, *options, self.name)


class Boxes:
    """The containers and networks of one test, with names that no other test has."""

    def __init__(self, docker: Docker, images: AppImages) -> None:
        self.docker = docker
        self.images = images
        self._run = uuid.uuid4().hex[:8]
        self._networks: list[str] = []
        bridge = docker.inspect("bridge")["IPAM"]["Config"][0]
        self.gateway = str(bridge["Gateway"])
        """The host's address in the default network. Ports are published there, for no others."""

    def name(self, short: str) -> str:
        return f"{short}-{self._run}"

    @property
    def running(self) -> list[str]:
        """The ids of all that run, by `docker ps`."""
        return self.docker(
            *("ps", "--quiet", "--no-trunc", "--filter", f"label=run={self._run}")
        ).stdout.split()

    def start(
        self,
        short: str,
        labels: Mapping[str, str] | None = None,
        *options: str,
        image: str = "",
        command: Sequence[str] = (),
    ) -> Box:
        """Run one, with these labels; those of a secretary begin with a dot."""
        said = {f"secretary{k}" if k.startswith(".") else k: v for k, v in (labels or {}).items()}
        marked = [f"--label={k}={v}" for k, v in {**said, "run": self._run}.items()]
        # fmt: off
        self.docker(
            "run", "--detach", "--name", self.name(short), *marked, *options,
            image or self.images.plain, *command,
        )
        # fmt: on
        return Box(self.docker, self.name(short))

    def publish(self, port: int = PORT) -> str:
        """Return the option that has the host pass on a port, on one that is free."""
        return f"--publish={self.gateway}::{port}"

    def network(self, short: str) -> str:
        name = self.name(short)
        self.docker("network", "create", name)
        self._networks.append(name)
        return name

    def clear(self) -> None:
        listed = self.docker("ps", "--all", "--quiet", "--filter", f"label=run={self._run}")
        if ids := listed.stdout.split():
            self.docker("rm", "--force", *ids, timeout_s=120)
        for network in self._networks:
            self.docker("network", "rm", network, check=False)


@pytest.fixture(scope="session")
def images(docker: Docker) -> Iterator[AppImages]:
    with app_images(docker) as images:
        yield images


@pytest.fixture
def boxes(docker: Docker, images: AppImages) -> Iterator[Boxes]:
    boxes = Boxes(docker, images)
    try:
        yield boxes
    finally:
        boxes.clear()


def host_agent(
    docker: Docker, etcd: Sequence[str], prefix: str, *more: str, ttl: str = "10s", **env: str
) -> Secretary:
    """`secretary host` of this daemon, with quick probes and a status server."""
    # fmt: off
    return Secretary(
        "--etcd", ",".join(etcd), "--prefix", prefix, "--ttl", ttl, *_QUICK, *more,
        verb="host", **{**docker.environ(), **env},
    )
    # fmt: on


def sidecar(box: str, docker: Docker, etcd: Sequence[str], prefix: str, *more: str) -> Secretary:
    """`secretary run --container BOX`, with quick probes and a status server."""
    # fmt: off
    return Secretary(
        "--container", box, "--etcd", ",".join(etcd), "--prefix", prefix, *_QUICK, *more,
        **docker.environ(),
    )
    # fmt: on


def faults(secretary: Secretary) -> dict[str, str]:
    """What /status says is wrong, by the container's name."""
    told = json.loads(secretary.page("/status")[1])["faults"]
    return {fault["container"]: fault["text"] for fault in told}


def registers(secretary: Secretary, number: int) -> None:
    """Wait until so many services are registered."""
    wait_for(
        lambda: sum(service["registered"] for service in secretary.services()) == number,
        what=f"{number} services are registered",
        timeout_s=20,
    )
