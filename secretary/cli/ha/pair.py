"""A pair of balancers as it stands: who serves, who could, and what has failed. Values only."""

import enum
from dataclasses import dataclass


class Standing(enum.Enum):
    """What a host is to the cluster."""

    ONLINE = "online"
    STANDBY = "standby"
    JOINING = "joining"
    LEAVING = "leaving"
    MAINTENANCE = "maintenance"
    """Whatever happens there, the cluster does nothing about it."""
    OFFLINE = "offline"
    UNCLEAN = "unclean"
    """Gone without a goodbye; only fencing could tell whether it still runs."""


class Running(enum.Enum):
    """How HAProxy is."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Reach:
    """How many of the hosts in `host_list` answer it, itself among them, and how many there are."""

    hosts: int
    asked: int


@dataclass(frozen=True, slots=True)
class Balancer:
    """`addresses` are the resources of addresses that it has, `busy` whether anything runs there.

    `fresh` says whether its configuration is; None while nobody has judged. `reach` is None where
    nobody asks which hosts it reaches.
    """

    name: str
    standing: Standing
    haproxy: Running
    fresh: bool | None
    addresses: tuple[str, ...]
    busy: bool
    reach: Reach | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """What the cluster has tried in vain, and will count against the host until it is cleared."""

    resource: str
    node: str
    task: str
    said: str
    at: str

    @property
    def cleared_by(self) -> str:
        """The command that lets the cluster forget it."""
        return f"crm resource cleanup {self.resource} {self.node}"


@dataclass(frozen=True, slots=True)
class Ban:
    """A resource that was sent away from a host, and may not return."""

    resource: str
    node: str

    @property
    def lifted_by(self) -> str:
        return f"crm_resource --clear --resource {self.resource} --node {self.node}"


@dataclass(frozen=True, slots=True)
class Pair:
    """`addresses` are the resources of all floating addresses, held or not.

    `judged` says that somebody judges freshness here, and `unmanaged` that the cluster only looks
    on.
    """

    balancers: tuple[Balancer, ...]
    addresses: tuple[str, ...]
    judged: bool
    quorum: bool
    fencing: bool
    unmanaged: bool
    failures: tuple[Failure, ...]
    bans: tuple[Ban, ...]

    def named(self, name: str) -> Balancer | None:
        return next((each for each in self.balancers if each.name == name), None)

    @property
    def nowhere(self) -> tuple[str, ...]:
        """The addresses that nobody has."""
        held = {address for each in self.balancers for address in each.addresses}
        return tuple(address for address in self.addresses if address not in held)
