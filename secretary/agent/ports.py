"""Where the agent's loop meets its wings and the directory: the shapes both sides agree on."""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from secretary.core.claim import Found
from secretary.core.container import Container
from secretary.core.snapshot import Snapshot


class Outcome(enum.Enum):
    """What one probe says of the app."""

    PASS = "pass"  # noqa: S105 - not a password
    DOUBT = "doubt"
    """It did not answer in time, or not as expected: counts towards `fall`."""
    REFUSED = "refused"
    """Connection refused or reset: nobody is there, down at once."""
    ERROR = "error"
    """The probe itself could not be run: says nothing of the app and changes nothing."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe's answer. `detail` is one printable line of at most 200 characters."""

    outcome: Outcome
    detail: str
    duration_s: float


class Probe(Protocol):
    """Asks once. Returns by its own deadline, and raises nothing for what the app does."""

    def run(self) -> ProbeResult: ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """An address to publish, in canonical form, and a phrase that says why it is this one."""

    ip: str
    why: str


class Containers(Protocol):
    """The containers of a Docker host. All may be read from any thread."""

    @property
    def running(self) -> Sequence[Container]:
        """Those that serve, as far as is known."""
        ...

    @property
    def away(self) -> str | None:
        """Why Docker does not answer; None when it does."""
        ...

    @property
    def seen(self) -> bool:
        """Whether Docker has told all of them since we started."""
        ...

    @property
    def errors(self) -> int: ...

    @property
    def beat_s(self) -> float:
        """When the loop that follows them last turned (time.monotonic)."""
        ...


class Lease(Protocol):
    """A lease in the directory, and with it the life of what hangs on it."""

    @property
    def lease(self) -> int: ...

    @property
    def left_s(self) -> float:
        """Seconds until it expires unless it is renewed."""
        ...

    def renew(self) -> None:
        """Make it last a full TTL from now; LeaseLost when it is gone."""
        ...

    def close(self) -> None:
        """Revoke it; may be repeated."""
        ...


class Registry(Protocol):
    """The directory as an agent uses it. See `store/registry.py` for what each call promises."""

    def find(self, key: str) -> Found | None: ...

    def grant(self, ttl_s: int) -> Lease: ...

    def put(self, key: str, value: bytes, lease: int, over: Found | None) -> bool: ...

    def rehearse(self, key: str, lease: int) -> None: ...

    def mark(self, key: str, value: bytes, lease: int) -> bool: ...

    def extend(self, found: Found) -> None: ...

    def delete(self, key: str, lease: int) -> int | None: ...

    def clear(self, key: str, found: Found) -> int | None: ...

    def renderers_behind(self, left: Mapping[str, int]) -> list[str]: ...


class Directory(Protocol):
    """The records under one prefix, for those who read them."""

    def snapshot(self) -> Snapshot: ...

    def follow(self) -> Iterator[Snapshot]: ...
