"""A Docker daemon for the tests, and this checkout's image on it.

A daemon that answers already is used as it is. Otherwise one is started with a state, a socket
and a bridge of its own, and without firewall rules; it and all it mounted are gone afterwards.
No image is ever pulled: the base is made with debootstrap and kept in the user's cache.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_for

CHECKOUT = Path(__file__).parents[2]
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Docker:
    """The docker command, bound to one daemon, and the names of the images made for this run."""

    host: str | None
    base_image: str
    image: str

    def __call__(
        self, *args: str, timeout_s: float = 60.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker ARGS`; AssertionError with its whole output if it fails and `check`."""
        done = _run(["docker", *self.flags(), *args], timeout_s)
        if check and done.returncode != 0:
            raise AssertionError(f"docker {' '.join(args)} failed:\n{done.stdout}{done.stderr}")
        return done

    def flags(self) -> list[str]:
        return ["--host", self.host] if self.host else []

    def inspect(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self("inspect", name).stdout)
        return found[0]

    def answers(self) -> bool:
        return self("info", check=False).returncode == 0


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A daemon with this checkout's image built on a Debian base."""
    missing = [] if os.geteuid() == 0 else ["root"]
    missing += [tool for tool in ("docker", "debootstrap", "tar") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    run = uuid.uuid4().hex[:8]
    names = (f"secretary-test-base:{run}", f"secretary-test:{run}")
    bound = Docker(None, *names)
    with contextlib.ExitStack() as stack:
        if not bound.answers():
            if not shutil.which("dockerd"):
                pytest.skip("no Docker daemon answers, and dockerd is not installed")
            bound = Docker(stack.enter_context(_daemon(run)), *names)
        stack.callback(bound, "image", "rm", "--force", *reversed(names), check=False)
        _import_base(bound)
        _build(bound)
        yield bound


@contextlib.contextmanager
def _daemon(run: str) -> Iterator[str]:
    """A dockerd of our own. Yields its address."""
    state = Path(tempfile.mkdtemp(prefix="secretary-docker-"))
    host = f"unix://{state}/sock"
    bridge = f"sec{run}"
    address = f"10.219.{os.getpid() % 256}.1/24"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, state, ignore_errors=True)
        stack.callback(_unmount_below, state)
        subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
        stack.callback(subprocess.run, ["ip", "link", "delete", bridge], check=True)
        subprocess.run(["ip", "address", "add", address, "dev", bridge], check=True)
        log = stack.enter_context((state / "log").open("w"))
        # fmt: off
        daemon = subprocess.Popen(
            ["dockerd", "--host", host, "--data-root", f"{state}/data",
             "--exec-root", f"{state}/exec", "--pidfile", f"{state}/pid", "--bridge", bridge,
             "--iptables=false", "--ip-forward=false", "--ip-masq=false"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )
        # fmt: on
        stack.callback(_end, daemon)

        def dockerd_answers() -> bool:
            assert daemon.poll() is None, f"dockerd ended:\n{(state / 'log').read_text()[-3000:]}"
            return Docker(host, "", "").answers()

        wait_for(dockerd_answers, timeout_s=60)
        yield host


def _end(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.terminate()  # it ends its containers and its containerd by itself
    try:
        daemon.wait(30)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _unmount_below(directory: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{directory}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)


def _import_base(docker: Docker) -> None:
    root = _debian_root()
    if CA_BUNDLE.exists():  # a build behind a private CA trusts what this machine trusts
        shutil.copyfile(CA_BUNDLE, root / CA_BUNDLE.relative_to("/"))
    tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
    with tar:
        command = ["docker", *docker.flags(), "import", "-", docker.base_image]
        subprocess.run(command, stdin=tar.stdout, stdout=subprocess.DEVNULL, check=True)


def _debian_root() -> Path:
    """A debootstrapped tree, made once per suite and list of packages."""
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "secretary-tests"
    root = cache / f"{SUITE}-{key}"
    if not root.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
        include = f"--include={','.join(PACKAGES)}"
        done = _run(["debootstrap", "--variant=minbase", include, SUITE, str(made)], 600)
        assert done.returncode == 0, f"debootstrap failed:\n{done.stdout[-3000:]}{done.stderr}"
        made.chmod(0o755)
        shutil.rmtree(made / "var/cache/apt/archives")
        try:
            made.rename(root)
        except OSError:  # another run was quicker
            shutil.rmtree(made)
    return root


def _build(docker: Docker) -> None:
    trust = ["--build-arg", f"PIP_CERT={CA_BUNDLE}"] if CA_BUNDLE.exists() else []
    # fmt: off
    docker(
        "build", "--network=host", "--tag", docker.image,
        "--build-arg", f"BASE_IMAGE={docker.base_image}", *trust, str(CHECKOUT),
        timeout_s=600,
    )
    # fmt: on


def _run(command: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
