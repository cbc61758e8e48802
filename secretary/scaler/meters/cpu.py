"""How busy the machines' processors are, as their provider tells it."""

from collections.abc import Sequence

from secretary.core.errors import MeterError
from secretary.core.machine import Machine
from secretary.scaler.ports import Provider
from secretary.scaler.samples import Sample


class CpuMeter:
    """Percent of all cores of each machine. The provider bounds the time of its call."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def measure(self, machines: Sequence[Machine], now_s: float) -> Sample:
        """Return what is known; it raises CloudError too."""
        ids = [machine.provider_id for machine in machines if machine.provider_id is not None]
        if not ids:
            return Sample(now_s, (), len(machines))
        known = self._provider.cpu(ids)
        values = tuple(known[each] for each in ids if each in known)
        if not values:
            raise MeterError(f"the provider knows the cpu of none of {len(ids)} machines yet")
        return Sample(now_s, values, len(machines))

    def close(self) -> None:
        """The provider is its owner's to close."""
