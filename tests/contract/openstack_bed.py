"""The providers' contract on OpenStack: the real client, and a real Nova on the loopback."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import msgspec

from secretary.core.scaling import ScaleGroup
from secretary.scaler.ports import Provider
from secretary.scaler.providers.openstack import open_openstack
from tests.clouds.openstack import PAGE, OpenStack
from tests.contract.provider_bed import ProviderBed


class OpenStackBed:
    """A project of its own in `cloud`."""

    page: int | None = PAGE

    def __init__(self, cloud: OpenStack) -> None:
        self._cloud = cloud

    def group(self, name: str) -> ScaleGroup:
        return self._cloud.group(name)

    def gone(self, group: ScaleGroup) -> ScaleGroup:
        image = msgspec.structs.replace(group.machine, image="no-such-image")
        return msgspec.structs.replace(group, machine=image)

    def open(self, group: ScaleGroup) -> Provider:
        return open_openstack(group, self._cloud.environ("admin"))

    def named(self, name: str) -> int:
        return sum(server["name"] == name for server in self._cloud.servers())

    def foreign(self, name: str) -> str:
        id_ = self._cloud.make(name)
        self._cloud.wait_active(id_)  # before that, Nova takes no tags
        return id_

    def fill(self, group: ScaleGroup, count: int) -> None:
        self._cloud.fill(group.name, [f"secretary-{group.name}"], count)

    def away(self) -> AbstractContextManager[None]:
        return self._cloud.fault(does="drop")

    def lossy(self) -> AbstractContextManager[None]:
        return self._cloud.fault(method="POST", path="/servers$", does="drop", applied=True)

    def busy(self, retry_after_s: int) -> AbstractContextManager[None]:
        return self._cloud.fault(status=429, headers={"Retry-After": str(retry_after_s)})

    def reset(self) -> None:
        self._cloud.mend()
        self._cloud.remove_all()


@contextmanager
def openstack_bed() -> Iterator[ProviderBed]:
    with OpenStack() as cloud:
        yield OpenStackBed(cloud)
