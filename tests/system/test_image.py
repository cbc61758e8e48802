"""The image: small, unprivileged, checked by Docker, and quick to obey a SIGTERM."""

import time
from collections.abc import Iterator

import pytest

import secretary
from tests.system.docker_bed import Docker
from tests.waiting import wait_for

# The first test waits for debootstrap and the build.
pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]


def test_version_runs(docker: Docker) -> None:
    """`docker run IMAGE --version` tells this checkout's version."""
    done = docker("run", "--rm", "--network", "none", docker.image, "--version")
    assert secretary.__version__ in done.stdout


def test_it_declares_how_it_is_run_stopped_and_checked(docker: Docker) -> None:
    config = docker.inspect(docker.image)["Config"]
    assert config["Entrypoint"] == ["secretary"]
    assert config["Cmd"] == ["run"]
    assert config["Healthcheck"]["Test"] == ["CMD", "secretary", "health"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_the_process_is_an_ordinary_user_without_capabilities(docker: Docker) -> None:
    """A numeric user, which a "runAsNonRoot" check can see, and no capability in effect."""
    assert docker.inspect(docker.image)["Config"]["User"] == "65532:65532"
    status = _python(docker, "print(open('/proc/self/status').read())")
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert lines["Uid"].split() == ["65532"] * 4
    assert int(lines["CapEff"], 16) == 0


def test_it_adds_one_directory_to_its_base_and_nothing_that_builds(docker: Docker) -> None:
    """No pip, compiler, header, test or leftover of the build: all is under /opt/secretary."""
    added = _files(docker, docker.image) - _files(docker, docker.base_image)
    assert {name for name in added if not name.startswith("opt/secretary")} == set()
    packages = {name.split("/")[5] for name in added if name.count("/") > 5}
    assert {"secretary", "etcd3", "grpc"} <= packages
    assert packages & {"pip", "setuptools", "wheel", "hatchling", "editables", "tests"} == set()
    assert [name for name in added if name.endswith((".c", ".h", ".pyx", "/pip", "/gcc"))] == []


def test_the_code_is_compiled_and_its_user_cannot_change_it(docker: Docker) -> None:
    """Each health check starts an interpreter: it must not compile the code every time."""
    print_it = "import os, secretary; print(secretary.__cached__, os.access('/opt/secretary', 2))"
    cached, writable = _python(docker, print_it).split()
    assert (
        docker("run", "--rm", "--entrypoint", "ls", docker.image, cached).stdout.strip() == cached
    )
    assert writable == "False"


@pytest.fixture
def running(docker: Docker) -> Iterator[str]:
    """A container of `secretary run` whose loops turn; no etcd within reach."""
    # fmt: off
    container = docker(
        "run", "--detach", "--network", "none", docker.image,
        "run", "--name", "web", "--port", "8080", "--ip", "127.0.0.1",
        "--etcd", "http://127.0.0.1:1", "--drain-timeout", "2s",
    ).stdout.strip()
    # fmt: on
    live = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9180/livez')"
    try:

        def its_status_page_says_it_lives() -> bool:
            asked = docker("exec", container, "/opt/secretary/bin/python", "-c", live, check=False)
            if asked.returncode == 0:
                return True
            state, said = docker.inspect(container)["State"], docker("logs", container)
            assert state["Running"], f"ended with {state['ExitCode']}: {said.stderr}{said.stdout}"
            return False

        wait_for(its_status_page_says_it_lives, timeout_s=30)
        yield container
    finally:
        docker("rm", "--force", container)


def test_sigterm_reaches_the_process(docker: Docker, running: str) -> None:
    """`docker stop` ends it with exit code 0, long before Docker would kill it."""
    begun = time.monotonic()
    docker("stop", "--time", "30", running)
    assert time.monotonic() - begun < 10
    assert docker.inspect(running)["State"]["ExitCode"] == 0


def test_the_health_check_asks_for_life_not_for_etcd(docker: Docker, running: str) -> None:
    """No outage of etcd may get the container restarted; `--ready` is the stricter question."""
    assert docker("exec", running, "secretary", "health", check=False).returncode == 0
    assert docker("exec", running, "secretary", "health", "--ready", check=False).returncode == 1


def _python(docker: Docker, code: str) -> str:
    """Run `code` by the image's interpreter, and return what it printed."""
    # fmt: off
    return docker(
        "run", "--rm", "--network", "none", "--entrypoint", "/opt/secretary/bin/python",
        docker.image, "-c", code,
    ).stdout
    # fmt: on


def _files(docker: Docker, image: str) -> set[str]:
    """Every path of the image but those that Docker itself makes in a container."""
    listed = (
        "find / -xdev -not -path '/dev*' -not -path '/proc*' -not -path '/sys*' -printf '%P\\n'"
    )
    done = docker("run", "--rm", "--user", "0", "--entrypoint", "sh", image, "-c", listed)
    return set(done.stdout.splitlines())
