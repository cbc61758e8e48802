"""A container that serves, as Docker describes it: what a secretary needs to know, and no more.

Only TCP ports count. Nothing here has been believed yet: labels and environment are texts of
whoever started the container.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

REGISTRATOR_MARK: Final = "SERVICE_"
_ID: Final = re.compile(r"[0-9a-f]{12,64}")


class Health(enum.Enum):
    """What Docker's HEALTHCHECK says."""

    NONE = "none"
    """There is no such check."""
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class NetworkMode(enum.Enum):
    OWN = "own"
    """Networks of its own, or those of the container that it joined."""
    HOST = "host"
    NONE = "none"


def answers(name: str, id_: str, ref: str) -> bool:
    """Whether a container of this name and id is meant by `ref`; see `Container.answers_to`."""
    return name == ref or (_ID.fullmatch(ref) is not None and id_.startswith(ref))


@dataclass(frozen=True, slots=True)
class Published:
    """A port of the container that the host passes on. `host_ip` may be unspecified (0.0.0.0)."""

    port: int
    host_ip: str
    host_port: int


@dataclass(frozen=True, slots=True)
class Container:
    """One life of a container, from a start (or an unpausing, or a reconnecting) to its end."""

    id: str
    name: str
    """Without the slash before it."""
    image: str
    """As it was named when the container was made."""
    started_at: str
    """The daemon's clock, as it writes it: another one is another life."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Those that are for us, and what Compose says of its project."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Those variables alone that begin with REGISTRATOR_MARK: the rest may be secrets."""
    network_mode: NetworkMode = NetworkMode.OWN
    is_guest: bool = False
    """Whether its network is another container's, and so are the ports that are published."""
    networks: Mapping[str, str] = field(default_factory=dict)
    """The address in each network, by the network's name; IPv4 where there is one."""
    exposed: tuple[int, ...] = ()
    """The ports that image or command line declare, in order."""
    published: tuple[Published, ...] = ()
    has_health_check: bool = False
    life: int = 0
    """Which life since `started_at`: one more after each pause."""

    def answers_to(self, ref: str) -> bool:
        """Whether it is meant by its name, or by its id or the first twelve digits of that.

        Shorter beginnings of ids are names too often: there are containers called db and cafe.
        """
        return answers(self.name, self.id, ref)

    @property
    def incarnation(self) -> str:
        """Return what no other life of any container has."""
        return f"{self.id}@{self.started_at}#{self.life}"
