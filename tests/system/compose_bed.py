"""The stack of deploy/compose on the tests' daemon, with images that are made here.

Both files, and a third of the tests' own: the app with a secretary of its own is one more instance
of `web` there, so that others can take over when it stops.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import pytest

from tests.apps import free_port
from tests.footprint import Footprint
from tests.system.docker_bed import CHECKOUT, Docker
from tests.traffic import Traffic
from tests.waiting import wait_for

HERE: Final = CHECKOUT / "deploy/compose"
FILES: Final = (HERE / "docker-compose.yml", HERE / "docker-compose.haproxy.yml")
_BUILT: Final = {"etcd": "ETCD", "proxy": "NGINX", "docker-socket": "HAPROXY", "web": "APP"}
"""A service of each image, and what its variable begins with."""
_DOCKERS: Final = ("containerd-shim", "docker-proxy", "runc")
_OURS: Final = """\
services:
  etcd: {build: {network: host}}
  proxy: {build: {network: host}}
  docker-socket: {build: {network: host}}
  api-secretary: {environment: {SECRETARY_NAME: web}}
"""


@dataclass(frozen=True, slots=True)
class Stack:
    """A project of Compose. `nginx` and `haproxy` are the ports of the loopback that lead to it."""

    docker: Docker
    project: str
    files: tuple[Path, ...]
    environ: dict[str, str]
    nginx: int
    haproxy: int

    def __call__(self, *args: str, timeout_s: float = 300.0) -> str:
        """Run `docker-compose ARGS`; AssertionError with its whole output if it fails."""
        command = ["docker-compose", "--project-name", self.project]
        for file in self.files:
            command += ["--file", str(file)]
        done = subprocess.run(
            [*command, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=os.environ | self.environ,
        )
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"docker-compose {' '.join(args)} failed:\n{said}")
        return done.stdout

    def up(self, web: int = 3) -> None:
        """Start what does not run, with so many of `web`."""
        self("up", "--detach", "--no-build", "--scale", f"web={web}")

    def containers(self, service: str) -> list[dict[str, Any]]:
        """Return what Docker tells of a service's containers, those that have ended included."""
        ids = self("ps", "--all", "--quiet", service).split()
        told: list[dict[str, Any]] = json.loads(self.docker("inspect", *ids).stdout)
        return told

    def names(self, *services: str) -> list[str]:
        """Return how the apps of these services call themselves."""
        return [str(c["Config"]["Hostname"]) for s in services for c in self.containers(s)]

    def answers(self) -> bool:
        """Whether both proxies lead to an app."""
        for port in (self.nginx, self.haproxy):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            except urllib.error.HTTPError as error:
                error.close()
                return False
            except OSError:
                return False
        return True

    @property
    def services(self) -> list[str]:
        return self("config", "--services").split()

    def ended(self, service: str) -> datetime:
        """Return when the last of its containers ended."""
        told = [container["State"] for container in self.containers(service)]
        assert not any(state["Running"] for state in told)
        return max(datetime.fromisoformat(state["FinishedAt"][:26] + "+00:00") for state in told)

    def gone(self) -> bool:
        """Whether nothing is left of it: no container, network or volume."""
        mine = f"label=com.docker.compose.project={self.project}"
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return not any(self.docker(*k, "--quiet", "--filter", mine).stdout for k in kinds)


def _socket(docker: Docker) -> str:
    """Return the path of the daemon's socket, as containers can mount it."""
    host = docker.host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    assert host.startswith("unix://"), f"the stack needs a Docker of this host, not {host}"
    return host.removeprefix("unix://")


class Load:
    """Requests to both proxies while entered, of which none may have failed at the end.

    Half are GETs on lasting connections, half POSTs, which are never sent twice; without `posts`
    all are GETs.
    """

    def __init__(self, stack: Stack, *, rate: float = 100.0, posts: bool = True) -> None:
        """`rate` is of requests a second to each of them."""
        ports, each = (stack.nginx, stack.haproxy), rate / 2 if posts else rate
        self._traffic = [Traffic(port, rate=each) for port in ports]
        if posts:
            self._traffic += [
                Traffic(port, rate=each, method="POST", keep_alive=False) for port in ports
            ]
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for traffic in self._traffic:
            self._open.enter_context(traffic)
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        self._open.close()
        told = "\n".join(traffic.told() for traffic in self._traffic)
        print(told)  # noqa: T201 - the measured values
        if failure is None:
            assert not any(traffic.failures for traffic in self._traffic), told

    def reaches(self, *names: str) -> None:
        """Wait until both proxies lead to each of these apps."""
        for traffic in self._traffic:
            traffic.reaches(*names, timeout_s=30)

    def leaves(self, *names: str) -> None:
        """Wait until requests of a whole second have got to none of these apps."""

        def nobody_asked_them() -> bool:
            since_s = time.monotonic() - 1.0
            answers = [traffic.answers(since_s) for traffic in self._traffic]
            return all(answers) and not any(told.keys() & set(names) for told in answers)

        wait_for(nobody_asked_them, timeout_s=30)


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """In place of the house's: of what Docker itself runs, tests leave the stack to each other."""
    before = Footprint.now()
    yield

    def left() -> list[str]:
        held = Footprint.now().beyond(before)
        return [words for words in held if not any(name in words for name in _DOCKERS)]

    with contextlib.suppress(AssertionError):  # said better below
        wait_for(lambda: not left())
    assert left() == []


@pytest.fixture(scope="module")
def built(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with its images; nothing of it runs yet. Gone at the end."""
    if not shutil.which("docker-compose"):
        pytest.skip("needs docker-compose")
    run = uuid.uuid4().hex[:8]
    ours = tmp_path_factory.mktemp("compose") / "ours.yml"
    ours.write_text(_OURS)
    images = {f"{kind}_IMAGE": f"secretary-{kind.lower()}:{run}" for kind in _BUILT.values()}
    nginx, haproxy = free_port(), free_port()
    environ = {
        **docker.environ(),
        **images,
        "SECRETARY_IMAGE": docker.image,
        "DEBIAN_IMAGE": docker.base_image,
        "PYTHON_IMAGE": docker.base_image,
        "DOCKER_SOCKET": _socket(docker),
        "PROXY_PORT": str(nginx),
        "HAPROXY_PORT": str(haproxy),
    }
    stack = Stack(docker, f"stack{run}", (*FILES, ours), environ, nginx, haproxy)
    with contextlib.ExitStack() as end:
        end.callback(docker, "image", "rm", "--force", *images.values(), check=False)
        stack("build", *_BUILT, timeout_s=600)
        end.callback(stack, "down", "--volumes", "--remove-orphans")
        yield stack


@pytest.fixture
def stack(built: Stack) -> Stack:
    """The stack with three of `web`, the first of which both proxies know."""
    built.up()

    def lead_to_an_app() -> bool:
        """Also when it is asked often: while nginx reloads, its old workers know of none yet."""
        return all(built.answers() for _ in range(30))

    wait_for(lead_to_an_app, timeout_s=60, what="both proxies led to an app")
    return built
