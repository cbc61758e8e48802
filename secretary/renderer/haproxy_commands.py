"""The steps from one set of servers to another, in the words of haproxy's admin socket.

What each says, and which answers mean that it was not done. When to take a step is not decided
here.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from secretary.renderer.haproxy import Server, Words

_POOL: Final = ("pool-purge-delay", "5s", "pool-max-conn", "-1")
"""haproxy's defaults. A server added without them (2.6.12) keeps no connection for reuse."""

Key = tuple[str, str]
"""A backend and a server of it."""


@dataclass(frozen=True, slots=True)
class Add:
    """A server joins: with its checks, and ready unless it is disabled."""

    key: Key
    server: Server
    id: int

    @property
    def lines(self) -> Words:
        server, name = self.server, _name(self.key)
        # Without an id that is known from its first moment, haproxy (2.6, 2.8) gives no requests
        # to it, or to others, where it balances by random or by a consistent hash.
        ids = () if "id" in server.arguments else ("id", str(self.id))
        address = (
            f"[{server.ip}]:{server.port}" if ":" in server.ip else f"{server.ip}:{server.port}"
        )
        weight = ("weight", str(server.weight))
        words = ("add", "server", name, address, *ids, *weight, *_POOL, *server.arguments)
        return (
            " ".join(map(escaped, words)),
            *((f"enable health {name}",) if "check" in server.arguments else ()),
            *((f"enable agent {name}",) if "agent-check" in server.arguments else ()),
            *(() if server.disabled else (f"set server {name} state ready",)),
        )


@dataclass(frozen=True, slots=True)
class Remove:
    """A server leaves: no new requests, then it is deleted once it has no connection."""

    key: Key
    maintained: bool

    @property
    def lines(self) -> Words:
        name = _name(self.key)
        return () if self.maintained else (f"set server {name} state maint",)

    @property
    def deletion(self) -> str:
        return f"del server {_name(self.key)}"


@dataclass(frozen=True, slots=True)
class Replace:
    """A server is to be removed and added again: what it has cannot be changed."""

    removal: Remove
    addition: Add

    @property
    def key(self) -> Key:
        return self.addition.key


@dataclass(frozen=True, slots=True)
class Weigh:
    key: Key
    weight: int

    @property
    def lines(self) -> Words:
        return (f"set server {_name(self.key)} weight {self.weight}",)


@dataclass(frozen=True, slots=True)
class Readdress:
    key: Key
    ip: str
    port: int

    @property
    def lines(self) -> Words:
        return (f"set server {_name(self.key)} addr {self.ip} port {self.port}",)


@dataclass(frozen=True, slots=True)
class Check:
    """Let a server's checks run, which are configured and do not."""

    key: Key
    kind: Literal["health", "agent"]

    @property
    def lines(self) -> Words:
        return (f"enable {self.kind} {_name(self.key)}",)


@dataclass(frozen=True, slots=True)
class Enable:
    """Bring a server back from maintenance or drain, whoever put it there.

    The directory is the truth: who wants an instance out of use tells the directory, and all
    proxies do it. `disable server` at one proxy would be undone by its next reload anyway.
    """

    key: Key

    @property
    def lines(self) -> Words:
        return (f"set server {_name(self.key)} state ready",)


@dataclass(frozen=True, slots=True)
class Disable:
    key: Key

    @property
    def lines(self) -> Words:
        return (f"set server {_name(self.key)} state maint",)


Change = Weigh | Readdress | Check | Enable | Disable


def is_refusal(line: str, answer: str) -> bool:
    """Whether `answer` to a line of a plan means that it was not done."""
    if line.startswith("add server "):
        return "New server registered" not in answer
    if line.startswith("del server "):
        return "Server deleted" not in answer
    if " addr " in line:
        return "by 'stats socket command'" not in answer
    return bool(answer.strip())


def is_busy(answer: str) -> bool:
    """Whether a deletion was refused for nothing but connections that are still open."""
    return "still has connections" in answer


def escaped(word: str) -> str:
    """Write a word so that the admin socket reads it as one."""
    return re.sub(r"([\\; \t])", r"\\\1", word)


def _name(key: Key) -> str:
    return f"{escaped(key[0])}/{escaped(key[1])}"
