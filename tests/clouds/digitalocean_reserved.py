"""The reserved addresses of an account, and the actions that move them from droplet to droplet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(slots=True)
class Action:
    """One move; `to` is None for taking the address away. It has its effect at the end."""

    id: int
    ip: str
    to: int | None
    ends_at: float
    fails: bool
    started: datetime
    status: str = "in-progress"


@dataclass(slots=True)
class ReservedIp:
    ip: str
    droplet_id: int | None = None
    going_on: Action | None = None


class Reserved:
    """Its parts may be read and changed by a test while requests come."""

    def __init__(self, clock: Callable[[], float], ids: Iterator[int]) -> None:
        self._clock = clock
        self._ids = ids
        self.action_s = 0.0
        self.failing = 0
        """So many of the next actions end in an error."""
        self.hides_actions = False
        """As it is for addresses that a customer has brought along."""
        self.hides_droplets = False
        """As it is for a token that may not see droplets."""
        self.actions: dict[int, Action] = {}
        self._known: dict[str, ReservedIp] = {}

    def add(self, ip: str, droplet_id: int | None = None) -> None:
        """Have an address, without asking the API."""
        self._known[ip] = ReservedIp(ip, droplet_id)

    def get(self, ip: str) -> ReservedIp | None:
        """Return it as it is by now."""
        found = self._known.get(ip)
        if found is not None and found.going_on is not None:
            self._settle(found, found.going_on)
        return found

    def of_droplet(self, droplet_id: int) -> ReservedIp | None:
        """Return the one that a droplet has."""
        found = (self.get(ip) for ip in list(self._known))
        return next((each for each in found if each and each.droplet_id == droplet_id), None)

    def begin(self, found: ReservedIp, to: int | None) -> Action:
        """Begin to give it to a droplet, or to nobody."""
        fails, self.failing = self.failing > 0, max(0, self.failing - 1)
        now = datetime.now(UTC).replace(microsecond=0)
        begun = Action(next(self._ids), found.ip, to, self._clock() + self.action_s, fails, now)
        self.actions[begun.id] = found.going_on = begun
        return begun

    def _settle(self, found: ReservedIp, action: Action) -> None:
        if self._clock() < action.ends_at:
            return
        found.going_on = None
        action.status = "errored" if action.fails else "completed"
        if not action.fails:
            found.droplet_id = action.to
