"""A machine in the scaler's inventory, as it stands in etcd, and the only way to read one.

The key is `/secretary/machines/<group>/<id>`; the id is the machine's unique name, which is known
before the machine is. Unknown keys are ignored; what lacks a required key or has a wrong type or
range is a RecordError.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final

import msgspec

from secretary.core.errors import RecordError
from secretary.core.instance import NAME_PATTERN
from secretary.core.settings import HostPort

MACHINES: Final = "/secretary/machines"
SCHEMA: Final = 1

Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
Words = Annotated[str, msgspec.Meta(max_length=500)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class MachineState(enum.Enum):
    REQUESTED = "requested"
    """Intended: the provider may have been asked, or not yet, or its answer was lost."""
    BOOTING = "booting"
    """The provider has it; its record is not there, or not applied by every live renderer."""
    SERVING = "serving"
    """Its record is up and every live renderer has applied it."""
    DRAINING = "draining"
    """Taken out of rotation; its connections are given time."""
    DELETING = "deleting"
    """The provider may have been asked to delete it; gone when the provider says so."""
    FAILED = "failed"
    """Did not come into service, or died. Nothing is left of it at the provider; the entry is
    kept for an hour, since replacements are counted. What was adopted is left as it is, and may
    come back."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine. `reason` says in words why it is in its state."""

    id: Name
    group: Name
    provider: str
    state: MachineState
    requested: Moment
    since: Moment
    """Of the state."""
    provider_id: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    address: Annotated[str, msgspec.Meta(max_length=45)] | None = None
    """At which the service's proxies reach it."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    """Only where several machines share an address, such as a Docker host's."""
    asked: Moment | None = None
    """When the provider was asked for it. There is one call for each machine, ever, unless the
    provider said that it was not carried out."""
    drained: Moment | None = None
    """When every live renderer had applied the drain."""
    reason: Words = ""
    trouble: Words = ""
    """What the provider said to the last call about it, where that went wrong."""
    adopted: bool = False
    """Taken in, and not made by us, as its name shows: deleted only when an operator names it."""
    found: bool = False
    """Taken in: its record may be older than its entry."""
    number: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """By which people name it. Given once in a group and to no other."""
    replaces: Name | None = None
    """The one that has failed, in whose place it is to come; until it serves."""
    may_be_last: bool = False
    """Whether it goes although no other serves."""
    schema: int = SCHEMA

    @property
    def endpoint(self) -> str | None:
        """Its address, with the port where that belongs to it; as in a drain's key."""
        if self.address is None or self.port is None:
            return self.address
        return str(HostPort(self.address, self.port))

    @property
    def is_left(self) -> bool:
        """Whether it has failed and is left as it is, since it was adopted."""
        return self.adopted and self.state is MachineState.FAILED

    @property
    def key(self) -> str:
        return f"{MACHINES}/{self.group}/{self.id}"

    @property
    def turn(self) -> tuple[datetime, int, str]:
        """Return by what machines are ordered, the oldest first."""
        return self.requested, self.number or 0, self.id

    @property
    def words(self) -> str:
        """Return what there is to say of its state."""
        of_whom = "adopted" if self.adopted else ""
        return "; ".join(filter(None, (of_whom, self.reason, self.trouble)))


@dataclass(frozen=True, slots=True)
class Stock:
    """A group's machines at one moment, each with the revision of its key, by id.

    `rejected` says of keys that hold no machine why. `wished_at` is the revision of the last wish,
    and `numbered` the last number that was given. `made_at` is the revision at which each came in,
    and `forgotten` has the provider's ids of those that an operator has taken out, by name.
    """

    machines: Mapping[str, tuple[Machine, int]] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)
    wished_at: int = 0
    numbered: int = 0
    made_at: Mapping[str, int] = field(default_factory=dict)
    forgotten: Mapping[str, str] = field(default_factory=dict)

    def own_since(self, machine: Machine) -> int:
        """Return the revision before which no record at its address can be its own.

        What is older is of whoever had the address before. One that was taken in may have had its
        record first.
        """
        return 0 if machine.found or machine.adopted else self.made_at.get(machine.id, 0)


_decoder: Final = msgspec.json.Decoder(Machine)


def decode(key: str, value: bytes) -> Machine:
    """Read the machine that stands under `key`. RecordError."""
    try:
        machine = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{key}: {error}") from error
    if machine.key != key:
        raise RecordError(f"{key}: the machine in it says that its key is {machine.key}")
    return machine


def encode(machine: Machine) -> bytes:
    """Return the entry; of words that are too long only what may stand there."""
    reason, trouble = machine.reason[:500], machine.trouble[:500]
    return msgspec.json.encode(msgspec.structs.replace(machine, reason=reason, trouble=trouble))
