"""What the scaler needs of others, as it sees them. Wings and loop meet here and nowhere else."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from secretary.core.machine import Machine, Stock
from secretary.core.rotation import Rotation
from secretary.scaler.samples import Sample


class Standing(enum.Enum):
    """What the provider says of a machine."""

    BOOTING = "booting"
    ACTIVE = "active"
    BROKEN = "broken"
    """It will not come up, or has ended, and is still there to be deleted."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A machine as its provider knows it."""

    provider_id: str
    name: str
    standing: Standing
    address: str | None
    """The one at which proxies reach it, on the group's network; None while it has none."""
    created: datetime
    cost_class: str
    """Size, flavor or image, for people to read."""
    port: int | None = None
    """Only where several machines share an address."""
    detail: str = ""
    """The provider's own word for its state, or what is wrong with it."""


class Provider(Protocol):
    """Makes and removes the machines of one group. Safe to be called from several threads.

    Each call ends within a bounded time and raises CloudBusy (was not carried out: not before
    `retry_after_s`), CloudAway (no answer, or none that can be believed: may have been carried
    out), or CloudRefused (was not carried out, and will not be unless somebody acts). No call
    that is not harmless to repeat is ever repeated in here.
    """

    def create(self, name: str) -> Seen:
        """Ask for a machine of this unique name, with the group's tag. It may still boot."""

    def machines(self) -> Sequence[Seen]:
        """Return all that carry the group's tag, however many pages that takes."""

    def delete(self, provider_id: str) -> bool:
        """Ask for its end; False when there is none any more."""

    def find(self, id_or_name: str) -> Seen | None:
        """Return a machine of the account, with our tag or without."""

    def tag(self, provider_id: str) -> None:
        """Give it the group's tag. May be repeated."""

    def untag(self, provider_id: str) -> None:
        """Take the group's tag off. May be repeated."""

    def cpu(self, provider_ids: Sequence[str]) -> Mapping[str, float]:
        """Return the load of each, in percent of all its cores, averaged over a minute or less.

        Those of which nothing is known are left out.
        """

    def close(self) -> None:
        """Let go of connections. Nothing is called after it."""


class Lock(Protocol):
    """The right to act on a group (see `store/inventory.py`)."""

    def hold(self, now: str) -> bool: ...
    def holder(self) -> str | None: ...
    def limits(self) -> tuple[int, int] | None: ...
    def release(self) -> None: ...


class Inventory(Protocol):
    """The machines of one group (see `store/inventory.py`)."""

    def stock(self) -> Stock: ...
    def wish(self, stock: Stock, *wishes: tuple[Machine, int]) -> bool: ...
    def group_of(self, provider: str, provider_id: str) -> str | None: ...
    def change(
        self, changed: Machine, seen_at: int, *, adds: Iterable[Machine] = ()
    ) -> int | None: ...
    def remove(self, machine: Machine, seen_at: int, *, drain: str | None) -> bool: ...
    def forget(self, stock: Stock, machine: Machine) -> bool: ...


class Turns(Protocol):
    """How the group's service stands in the directory (see `store/turns.py`)."""

    def look(self) -> Rotation: ...
    def drain(self, endpoint: str) -> None: ...
    def undrain(self, endpoint: str) -> bool: ...
    def drain_key(self, endpoint: str) -> str: ...


class Meter(Protocol):
    """Measures what a group's policy goes by."""

    def measure(self, machines: Sequence[Machine], now_s: float) -> Sample:
        """Return what these machines, which all serve, carry at `now_s` (of a monotonic clock).

        Bounded in time. Raises CloudError or MeterError when nothing can be learned.
        """

    def close(self) -> None: ...


class Registrar(Protocol):
    """Runs a secretary here for machines that have none inside."""

    def follow(self, machines: Sequence[Machine]) -> None:
        """Keep the records of these machines, and of no others, from now on. Does not wait."""

    def close(self, *, withdraw: bool = True) -> None:
        """Let the records go, within a bounded time; or leave them until their leases run out."""
