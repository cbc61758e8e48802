"""The contract's bed for the cloud in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from secretary.core.errors import CloudAway, CloudBusy, CloudRefused
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler.ports import Provider
from tests.contract.provider_bed import ProviderBed
from tests.fakes.cloud import CALLS, FakeCloud

_ALWAYS = 1_000_000
_GONE = "gone"


class FakeBed:
    """Each test has a cloud of its own."""

    page: int | None = None

    def __init__(self) -> None:
        self._cloud = FakeCloud()

    def group(self, name: str) -> ScaleGroup:
        machine = MachineSettings(image="app")
        return ScaleGroup(name=name, service=name, provider=ProviderName.DOCKER, machine=machine)

    def gone(self, group: ScaleGroup) -> ScaleGroup:
        machine = msgspec.structs.replace(group.machine, image=_GONE)
        return msgspec.structs.replace(group, machine=machine)

    def open(self, group: ScaleGroup) -> Provider:
        if group.machine.image == _GONE:
            self._cloud.fail("create", CloudRefused(f"there is no image {_GONE}"), times=_ALWAYS)
        return self._cloud.provider(group.name)

    def named(self, name: str) -> int:
        return len(self._cloud.named(name))

    def foreign(self, name: str) -> str:
        return self._cloud.make(name)

    def fill(self, group: ScaleGroup, count: int) -> None:
        for number in range(count):
            self._cloud.make(f"{group.name}-{number:08x}", f"secretary-{group.name}")

    @contextmanager
    def away(self) -> Iterator[None]:
        self._cloud.is_away = True
        try:
            yield
        finally:
            self._cloud.is_away = False

    @contextmanager
    def lossy(self) -> Iterator[None]:
        error = CloudAway("the answer was lost")
        with self._failing(("create",), error, is_applied=True):
            yield

    @contextmanager
    def busy(self, retry_after_s: int) -> Iterator[None]:
        with self._failing(CALLS, CloudBusy("come back later", retry_after_s)):
            yield

    def reset(self) -> None:
        self._cloud = FakeCloud()

    @contextmanager
    def _failing(
        self, calls: tuple[str, ...], error: Exception, *, is_applied: bool = False
    ) -> Iterator[None]:
        for call in calls:
            self._cloud.fail(call, error, times=_ALWAYS, is_applied=is_applied)
        try:
            yield
        finally:
            self._cloud.mend()


@contextmanager
def fake_cloud_bed() -> Iterator[ProviderBed]:
    yield FakeBed()
