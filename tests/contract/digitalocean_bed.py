"""The providers' contract on DigitalOcean: the real client, and its API on the loopback."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import msgspec

from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler.ports import Provider
from secretary.scaler.providers.digitalocean import open_digitalocean
from tests.clouds.digitalocean import DigitalOceanApi, digitalocean_api
from tests.clouds.digitalocean_account import PUBLIC_IMAGE
from tests.clouds.digitalocean_faults import APPLIED_AND_DROPPED, DROPPED, too_many
from tests.contract.provider_bed import ProviderBed

_BOOT_S = 0.2


class DigitalOceanBed:
    """An account of its own on the API of `digitalocean_api`."""

    page: int | None = 200

    def __init__(self, api: DigitalOceanApi) -> None:
        self._api = api

    def group(self, name: str) -> ScaleGroup:
        return ScaleGroup(
            name=name,
            service=name,
            provider=ProviderName.DIGITALOCEAN,
            machine=MachineSettings(image=PUBLIC_IMAGE, size="s-1vcpu-1gb", region="ams3"),
        )

    def gone(self, group: ScaleGroup) -> ScaleGroup:
        image = msgspec.structs.replace(group.machine, image="no-such-image")
        return msgspec.structs.replace(group, machine=image)

    def open(self, group: ScaleGroup) -> Provider:
        return open_digitalocean(group, self._api.environ())

    def named(self, name: str) -> int:
        return len(self._api.account.named(name))

    def foreign(self, name: str) -> str:
        return str(self._api.account.made(name, "somebody-elses").id)

    def fill(self, group: ScaleGroup, count: int) -> None:
        for number in range(count):
            self._api.account.made(f"{group.name}-{number:08x}", f"secretary-{group.name}")

    def away(self) -> AbstractContextManager[None]:
        return self._api.faults.during(DROPPED)

    def lossy(self) -> AbstractContextManager[None]:
        return self._api.faults.during(APPLIED_AND_DROPPED, "POST", "/v2/droplets")

    def busy(self, retry_after_s: int) -> AbstractContextManager[None]:
        return self._api.faults.during(too_many(retry_after_s))

    def reset(self) -> None:
        self._api.reset()
        self._api.account.boot_s = _BOOT_S


@contextmanager
def digitalocean_bed() -> Iterator[ProviderBed]:
    with digitalocean_api() as api:
        yield DigitalOceanBed(api)
