"""What DigitalOcean answers, as far as it is read, and what it means. Pure.

Times and sizes that do not fit raise msgspec.ValidationError, which is a ValueError.
"""

import ipaddress
import itertools
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from secretary.core.errors import CloudRefused
from secretary.core.values import printable
from secretary.scaler.ports import Seen, Standing

PUBLIC: Final = "public"
PRIVATE: Final = "private"
_IDLE: Final = frozenset({"idle", "iowait"})
_STANDINGS: Final = {"new": Standing.BOOTING, "active": Standing.ACTIVE}
"""The others are off and archive."""

T = TypeVar("T")


class NotThere(CloudRefused):
    """What is asked for does not exist."""


class Address(msgspec.Struct, frozen=True):
    ip_address: str
    type: str


class Networks(msgspec.Struct, frozen=True):
    v4: tuple[Address, ...] = ()
    v6: tuple[Address, ...] = ()


class Droplet(msgspec.Struct, frozen=True):
    id: int
    name: str
    status: str
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    networks: Networks
    size_slug: str = ""

    def seen(self, network: str) -> Seen:
        """Return it as the scaler sees it; `network` is where its address is, private at first.

        ValueError for an address that is none.
        """
        return Seen(
            provider_id=str(self.id),
            name=self.name,
            standing=_STANDINGS.get(self.status, Standing.BROKEN),
            address=self._address(network),
            created=self.created_at,
            cost_class=printable(self.size_slug),
            detail=printable(self.status),
        )

    def _address(self, network: str) -> str | None:
        wanted = [PUBLIC, PRIVATE] if network == PUBLIC else [PRIVATE, PUBLIC]
        for kind in wanted:
            for each in (*self.networks.v4, *self.networks.v6):
                if each.type == kind:
                    return str(ipaddress.ip_address(each.ip_address))
        return None


class Named(msgspec.Struct, frozen=True):
    """An image, a key or a network: what a person gave a name to."""

    id: int | str
    name: str | None = None


class _Pages(msgspec.Struct, frozen=True):
    next: str | None = None


class _Links(msgspec.Struct, frozen=True):
    pages: _Pages = _Pages()


def page(answer: Any, items: str, of: type[T]) -> tuple[list[T], bool]:
    """Read one page of the list `items`, and whether another follows. ValueError."""
    if not isinstance(answer, dict) or not isinstance(answer.get(items), list):
        raise ValueError(f"the answer has no {items}")
    links = msgspec.convert(answer.get("links") or {}, _Links)
    return [msgspec.convert(each, of) for each in answer[items]], links.pages.next is not None


def droplet(answer: Any) -> Droplet:
    """Read the one droplet that was asked for. ValueError."""
    return msgspec.convert(answer, _One).droplet


class _One(msgspec.Struct, frozen=True):
    droplet: Droplet


class Holder(msgspec.Struct, frozen=True):
    """The droplet that has a reserved address."""

    id: int
    name: str = ""


class Reserved(msgspec.Struct, frozen=True):
    """A reserved address; `droplet` is None where nobody has it, and unset where that is hidden.

    `locked`: an action on it goes on, and no other can begin.
    """

    droplet: Holder | msgspec.UnsetType | None = msgspec.UNSET
    locked: bool = False


class _OneReserved(msgspec.Struct, frozen=True):
    reserved_ip: Reserved


def reserved(answer: Any) -> Reserved:
    """Read the one reserved address that was asked for. ValueError."""
    return msgspec.convert(answer, _OneReserved).reserved_ip


class Action(msgspec.Struct, frozen=True):
    """What DigitalOcean has taken on."""

    id: int
    status: Literal["in-progress", "completed", "errored"]


class _OneAction(msgspec.Struct, frozen=True):
    action: Action


def action(answer: Any) -> Action:
    """Read the one action that was begun or asked for. ValueError."""
    return msgspec.convert(answer, _OneAction).action


class _Metric(msgspec.Struct, frozen=True):
    mode: str


class _Series(msgspec.Struct, frozen=True):
    """Seconds that the cores have spent in one mode since the machine started."""

    metric: _Metric
    values: tuple[tuple[float, float | str], ...]

    def spent_s(self) -> float | None:
        """Return the seconds from the first sample to the last.

        None when there are no two, or when they began anew between them.
        """
        counts = [float(count) for _, count in self.values]
        if len(counts) < 2 or any(b < a for a, b in itertools.pairwise(counts)):
            return None
        return counts[-1] - counts[0]


class _Result(msgspec.Struct, frozen=True):
    result: tuple[_Series, ...]


class _Metrics(msgspec.Struct, frozen=True):
    data: _Result


def busy_percent(answer: Any) -> float | None:
    """Read how busy a machine's cores were, all together. None where nothing is known. ValueError.

    Waiting for a disk is idle; what the neighbours took (steal) is not.
    """
    series = msgspec.convert(answer, _Metrics).data.result
    spent = [(each.metric.mode, each.spent_s()) for each in series]
    known = [(mode, seconds) for mode, seconds in spent if seconds is not None]
    total = sum(seconds for _, seconds in known)
    if len(known) < len(spent) or not total > 0 or total == float("inf"):
        return None
    idle = sum(seconds for mode, seconds in known if mode in _IDLE)
    return 100 * (1 - idle / total)
