"""Machines that are containers: made, put behind a real proxy, and removed, under real load."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd
from tests.renderers import Renderer
from tests.secretaries import Secretary, run
from tests.system.docker_bed import Docker
from tests.system.fronts import Kind, front
from tests.traffic import Traffic
from tests.waiting import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]

_HERE = Path(__file__).parent
GROUP = """
[[group]]
name = "{name}"
service = "web"
image = "{image}"
size = "0.3"
port = 8080
probe = "/healthz"
min = 1
max = 5
every = "5s"
up-at = 50
up-window = "5s"
up-cooldown = "5s"
down-window = "15s"
drain-time = "1s"
"""


class Site:
    """A group of machines, the agent of their host, a renderer, and nginx."""

    def __init__(self, docker: Docker, etcd: DevEtcd, prefix: str, config: Path, port: int) -> None:
        self.name = f"web{uuid.uuid4().hex[:8]}"
        self.docker = docker
        self.port = port
        self.config = config
        self._given = ("--etcd", ",".join(etcd.urls), "--prefix", prefix, "--config", str(config))

    def scale(self, *arguments: str, status: int = 0) -> str:
        """Run `secretary scale` to its end, and return what it prints."""
        done = run("scale", *arguments, *self._given, timeout_s=120, **self.docker.environ())
        assert done.returncode == status, f"{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def auto(self) -> Secretary:
        return Secretary(
            "auto", *self._given, "--status", "127.0.0.1:0", verb="scale", **self.docker.environ()
        )

    def containers(self) -> list[str]:
        """Return the names of the machines that run, by Docker itself."""
        asked = ("ps", "--filter", f"label=secretary-{self.name}", "--format", "{{.Names}}")
        return self.docker(*asked).stdout.split()


@pytest.fixture
def site(docker: Docker, etcd: DevEtcd, prefix: str, tmp_path: Path) -> Iterator[Site]:
    image = f"busy-app:{uuid.uuid4().hex[:8]}"
    dockerfile = f'FROM {docker.base_image}\nCOPY busy_app.py /\nCMD ["python3", "/busy_app.py"]\n'
    docker("build", "--tag", image, "--file", "-", str(_HERE), stdin=dockerfile)
    config = tmp_path / "scale.toml"
    agent = ("--etcd", ",".join(etcd.urls), "--prefix", prefix, "--status", "off")
    quick = ("--fast-interval", "100ms", "--timeout", "2s")  # they are slow when they are busy
    with (
        front(Kind.RUNTIME, tmp_path) as proxy,
        Renderer.of(etcd.urls, prefix, *proxy.arguments),
        Secretary(*agent, *quick, verb="host", **docker.environ()),
    ):
        site = Site(docker, etcd, prefix, config, proxy.port)
        config.write_text(GROUP.format(name=site.name, image=image))
        try:
            yield site
        finally:
            if left := site.containers():
                docker("rm", "--force", *left)
            docker("image", "rm", "--force", image)


def test_machines_come_and_go_by_hand_and_by_load_and_no_request_fails(site: Site) -> None:
    told = site.scale("to", site.name, "5")
    assert told.count(": serving") == 5
    assert len(site.containers()) == 5
    told = site.scale("ls", site.name)
    assert told.count(" serving ") == 5
    assert told.count(" yes ") == 5

    traffics = []

    def under(rate: float, machines: int) -> None:
        """Ask so often, until there are so many machines."""
        with Traffic(site.port, rate=rate) as traffic:
            traffics.append(traffic)
            wait_for(
                lambda: len(site.containers()) == machines and _serve(scaler) == machines,
                timeout_s=95,
                what=f"{machines} machines served at {rate:g} requests a second",
            )

    with Traffic(site.port, rate=20) as traffic:
        site.scale("to", site.name, "1")
    assert not traffic.failures, traffic.told()
    with site.auto() as scaler:
        under(18, 2)  # 60 to 80 % of one machine, which is not too much for it
        under(32, 3)
        under(2, 1)
        assert scaler.stop() == 0
    for traffic in traffics:
        assert not traffic.failures, traffic.told()
    site.scale("down", site.name, status=1)
    assert len(site.containers()) == 1


def _serve(scaler: Secretary) -> int:
    """Return how many machines the scaler says serve."""
    (group,) = json.loads(scaler.page("/status")[1])["groups"]
    return sum(machine["state"] == "serving" for machine in group["machines"])
