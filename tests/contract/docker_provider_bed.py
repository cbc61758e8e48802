"""The contract's bed for Docker: a real daemon, asked through a relay that can be at fault."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler.ports import Provider
from secretary.scaler.providers.docker import open_docker
from tests.contract.provider_bed import ProviderBed
from tests.fakes.docker_relay import DockerRelay, Fault, Said, docker_relay
from tests.system.docker_bed import Docker

_CREATE = "^POST /containers/create"
_WAITS = "import signal; signal.pause()"


class DockerBed:
    page: int | None = None

    def __init__(self, docker: Docker, relay: DockerRelay, image: str) -> None:
        self._docker = docker
        self._relay = relay
        self._image = image

    def group(self, name: str) -> ScaleGroup:
        machine = MachineSettings(image=self._image)
        return ScaleGroup(
            name=name, service=name, provider=ProviderName.DOCKER, machine=machine, port=8000
        )

    def gone(self, group: ScaleGroup) -> ScaleGroup:
        machine = msgspec.structs.replace(group.machine, image=f"{self._image}-gone")
        return msgspec.structs.replace(group, machine=machine)

    def open(self, group: ScaleGroup) -> Provider:
        return open_docker(group, {"DOCKER_HOST": self._relay.url})

    def named(self, name: str) -> int:
        return len(self._ids("--filter", f"name=^{name}$"))

    def foreign(self, name: str) -> str:
        return self._docker("run", "--detach", "--name", name, self._image).stdout.strip()

    def fill(self, group: ScaleGroup, count: int) -> None:
        raise AssertionError("a list of Docker's has no pages")

    @contextmanager
    def away(self) -> Iterator[None]:
        with self._rule("", Fault.DROP):
            yield

    @contextmanager
    def lossy(self) -> Iterator[None]:
        with self._rule(_CREATE, Fault.LOSE):
            yield

    @contextmanager
    def busy(self, retry_after_s: int) -> Iterator[None]:
        with self._rule(
            "", Said(429, {"message": "slow down"}, {"Retry-After": f"{retry_after_s}"})
        ):
            yield

    def reset(self) -> None:
        self._relay.rules.clear()
        if made := self._ids("--filter", f"ancestor={self._image}"):
            self._docker("rm", "--force", "--volumes", *made)
        if noted := self._docker(
            "volume", "ls", "--quiet", "--filter", "name=secretary-web"
        ).stdout:
            self._docker("volume", "rm", *noted.split())

    def _ids(self, *flags: str) -> list[str]:
        return self._docker("ps", "--all", "--quiet", "--no-trunc", *flags).stdout.split()

    @contextmanager
    def _rule(self, pattern: str, rule: Fault | Said) -> Iterator[None]:
        self._relay.rules[pattern] = rule
        try:
            yield
        finally:
            del self._relay.rules[pattern]


@contextmanager
def machine_image(docker: Docker, name: str, program: str, stop: str) -> Iterator[str]:
    """An image whose containers run this Python program, and are stopped by this signal."""
    image = f"{docker.base_image}-{name}"
    command = msgspec.json.encode(["python3", "-c", program]).decode()
    written = f"FROM {docker.base_image}\nSTOPSIGNAL {stop}\nCMD {command}\n"
    docker("build", "--tag", image, "-", stdin=written)
    try:
        yield image
    finally:
        docker("image", "rm", "--force", image)


@contextmanager
def docker_provider_bed(docker: Docker) -> Iterator[ProviderBed]:
    with (
        # The first process of a container ignores SIGTERM while it has no handler.
        machine_image(docker, "machine", _WAITS, "SIGKILL") as image,
        docker_relay(str(docker.socket())) as relay,
    ):
        bed = DockerBed(docker, relay, image)
        yield bed
        bed.reset()
