"""A Docker daemon for all tests, and this checkout's image on it.

A daemon that answers already is used as it is. Otherwise one is started for the tests alone.
No image is ever pulled: the base is made with debootstrap and kept in the user's cache.
"""

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system.debian import CA_BUNDLE, debian
from tests.system.dockerd import Dockerd

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("ca-certificates", "python3", "python3-venv")


@dataclass(frozen=True, slots=True)
class Docker:
    """The docker command, bound to one daemon, and the names of the images made for this run."""

    host: str | None
    base_image: str
    image: str

    def __call__(
        self, *args: str, timeout_s: float = 60.0, check: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker ARGS`; AssertionError with its whole output if it fails and `check`."""
        done = _run(["docker", *self.flags(), *args], timeout_s, stdin)
        if check and done.returncode != 0:
            raise AssertionError(f"docker {' '.join(args)} failed:\n{done.stdout}{done.stderr}")
        return done

    def flags(self) -> list[str]:
        return ["--host", self.host] if self.host else []

    def environ(self) -> dict[str, str]:
        """Return what tells another program of the same daemon."""
        return {"DOCKER_HOST": self.host} if self.host else {}

    def socket(self) -> Path:
        """Return the daemon's socket, to be mounted into a container."""
        host = self.host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        assert host.startswith("unix://"), f"a socket is needed, and DOCKER_HOST is {host}"
        return Path(host.removeprefix("unix://"))

    def inspect(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self("inspect", name).stdout)
        return found[0]

    def answers(self) -> bool:
        return self("info", check=False).returncode == 0


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A daemon with this checkout's image built on a Debian base."""
    needs("docker", "debootstrap", "tar")
    run = uuid.uuid4().hex[:8]
    names = (f"secretary-test-base:{run}", f"secretary-test:{run}")
    bound = Docker(None, *names)
    with contextlib.ExitStack() as stack:
        if not bound.answers():
            needs("dockerd")
            bound = Docker(stack.enter_context(Dockerd()).host, *names)
        stack.callback(_remove_images, bound)
        import_base(bound)
        _build(bound)
        yield bound


def needs(*tools: str) -> None:
    """Skip the test unless it may run containers, and these commands are there."""
    missing = [] if os.geteuid() == 0 else ["root"]
    missing += [tool for tool in tools if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def import_base(docker: Docker) -> None:
    """Make the base image on this daemon."""
    root = debian(PACKAGES)
    if CA_BUNDLE.exists():  # a build behind a private CA trusts what this machine trusts
        shutil.copyfile(CA_BUNDLE, root / CA_BUNDLE.relative_to("/"))
    tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
    with tar:
        command = ["docker", *docker.flags(), "import", "-", docker.base_image]
        subprocess.run(command, stdin=tar.stdout, stdout=subprocess.DEVNULL, check=True)


def _build(docker: Docker) -> None:
    trust = ["--build-arg", f"PIP_CERT={CA_BUNDLE}"] if CA_BUNDLE.exists() else []
    # fmt: off
    docker(
        "build", "--network=host", "--tag", docker.image,
        "--build-arg", f"BASE_IMAGE={docker.base_image}", *trust, str(CHECKOUT),
        timeout_s=600,
    )
    # fmt: on


def _remove_images(docker: Docker) -> None:
    """Remove what this run has built, the stages without a name among it."""
    base = docker("image", "inspect", "--format", "{{.Id}}", docker.base_image, check=False)
    unnamed = docker("image", "ls", "--quiet", "--no-trunc", "--filter", "dangling=true")
    docker("image", "rm", "--force", docker.image, check=False)
    for image in unnamed.stdout.split() if base.returncode == 0 else ():
        history = docker("history", "--quiet", "--no-trunc", image, check=False)
        if base.stdout.strip() in history.stdout:
            docker("image", "rm", "--force", image, check=False)
    docker("image", "rm", "--force", docker.base_image, check=False)


def _run(
    command: Sequence[str], timeout_s: float, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
