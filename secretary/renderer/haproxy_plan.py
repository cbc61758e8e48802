"""What to tell a running haproxy so that its servers become those of a configuration.

Decided from what haproxy itself tells of its servers, never from what it was told before. Only
the arguments of a server, which it does not tell, are compared with those it was last given.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

from secretary.renderer.haproxy import Config, Server, Words
from secretary.renderer.haproxy_commands import (
    Add,
    Change,
    Check,
    Disable,
    Enable,
    Key,
    Readdress,
    Remove,
    Replace,
    Weigh,
)

_ADMIN_MAINTENANCE: Final = 0x01
_ADMIN_CONFIGURED: Final = 0x04  # was disabled in its file once: says nothing of now
_ADMIN_DRAIN: Final = 0x08
_CHECK_CONFIGURED: Final = 0x02
_CHECK_ENABLED: Final = 0x04
_RUNNING: Final = "2"


class Running(NamedTuple):
    """A server in haproxy's own words, of which few are ever looked at closely."""

    srv_id: str
    srv_addr: str
    srv_port: str
    srv_uweight: str
    srv_admin_state: str
    srv_check_state: str
    srv_agent_state: str
    srv_op_state: str

    @property
    def maintained(self) -> bool:
        return bool(int(self.srv_admin_state) & _ADMIN_MAINTENANCE)

    @property
    def serving(self) -> bool:
        is_free = not int(self.srv_admin_state) & ~_ADMIN_CONFIGURED
        return self.srv_op_state == _RUNNING and self.srv_uweight != "0" and is_free


@dataclass(frozen=True, slots=True)
class Plan:
    """To be done in this order: what joins takes its share before others leave."""

    additions: Sequence[Add] = ()
    changes: Sequence[Change] = ()
    replacements: Sequence[Replace] = ()
    removals: Sequence[Remove] = ()
    reload: str | None = None
    """Why only a reload can do it; there is nothing else in the plan then."""

    @property
    def first(self) -> Key | None:
        """A server that is not as it should be. One that may not be gone yet is no such."""
        unfinished = (step.key for step in (*self.additions, *self.changes, *self.replacements))
        taking = (step.key for step in self.removals if not step.maintained)
        return next(unfinished, None) or next(taking, None)


def plan(
    wanted: Config,
    running: Mapping[str, Mapping[str, Running]],
    given: Mapping[Key, Words],
) -> Plan:
    """Decide how to get from `running`, as it was read back, to `wanted`.

    `given` holds the arguments that each server was last loaded or added with.
    """
    additions: list[Add] = []
    changes: list[Change] = []
    replacements: list[Replace] = []
    removals: list[Remove] = []
    for backend, servers in wanted.backends.items():
        there = running.get(backend, {})
        last_id = max((int(server.srv_id) for server in there.values()), default=0)
        for name, server in servers.items():
            key = (backend, name)
            found = there.get(name)
            if found is None:
                last_id += 1
                additions.append(Add(key, server, last_id))
            elif given.get(key) != server.arguments or _contradicts(server, found):
                # It is away for a moment, and a reload loses no request.
                others = (there[other] for other in servers if other != name and other in there)
                if found.serving and not any(other.serving for other in others):
                    reason = (
                        f"{backend}/{name} has other arguments, and nobody to take its requests"
                    )
                    return Plan(reload=reason)
                replacements.append(
                    Replace(Remove(key, found.maintained), Add(key, server, int(found.srv_id)))
                )
            else:
                changes += _changes(key, server, found)
        for name, found in there.items():
            if name not in servers:
                removals.append(Remove((backend, name), found.maintained))
    return Plan(additions, changes, replacements, removals)


def read_state(text: str, backends: Iterable[str]) -> dict[str, dict[str, Running]]:
    """Read `show servers state`, of these backends. ValueError if it is something else."""
    state: dict[str, dict[str, Running]] = {backend: {} for backend in backends}
    _, titles, *lines = (*text.split("\n"), "")
    try:
        at = {title: place for place, title in enumerate(titles.removeprefix("# ").split())}
        backend, name = at["be_name"], at["srv_name"]
        pick = itemgetter(*(at[title] for title in Running._fields))
        for line in lines:
            row = line.split(" ")
            if len(row) > backend and (servers := state.get(row[backend])) is not None:
                servers[row[name]] = Running._make(pick(row))
    except (KeyError, IndexError) as error:
        raise ValueError(f"not a state of servers: {error}") from None
    return state


def _changes(key: Key, server: Server, found: Running) -> Iterator[Change]:
    if int(found.srv_port) != server.port or not _same(found.srv_addr, server.ip):
        yield Readdress(key, server.ip, server.port)
    if int(found.srv_uweight) != server.weight:
        yield Weigh(key, server.weight)
    if "check" in server.arguments and not int(found.srv_check_state) & _CHECK_ENABLED:
        yield Check(key, "health")
    if "agent-check" in server.arguments and not int(found.srv_agent_state) & _CHECK_ENABLED:
        yield Check(key, "agent")
    if server.disabled and not found.maintained:
        yield Disable(key)
    elif not server.disabled and int(found.srv_admin_state) & (_ADMIN_MAINTENANCE | _ADMIN_DRAIN):
        yield Enable(key)  # last: nobody sends to an old address


def _contradicts(server: Server, found: Running) -> bool:
    """Whether it was evidently given other arguments than these, whatever we remember."""
    return ("check" in server.arguments) != bool(int(found.srv_check_state) & _CHECK_CONFIGURED)


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:  # a server that has no address shows a dash
        return False
