"""A haproxy configuration in two halves: its servers, and its structure, which is all the rest.

Two configurations with the same structure differ in nothing that haproxy's admin socket cannot
change while it runs. Of a backend with a server that the socket cannot speak of, such as one that
is resolved by name, the servers belong to the structure; so do those that depend on an `.if`. The
configuration is taken to be whole: what another file sets in `defaults` is not known here.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

_SECTIONS: Final = frozenset(
    {"backend", "cache", "defaults", "fcgi-app", "frontend", "global", "http-errors", "listen"}
    | {"log-forward", "mailers", "peers", "program", "resolvers", "ring", "userlist"}
    | {"acme", "crt-store", "log-profile", "traces"}  # since 2.6
)
_PROXIES: Final = ("backend", "listen")
_OF_NAMES_ONLY: Final = ("init-addr", "resolve-net", "resolve-opts", "resolve-prefer", "resolvers")
"""Each with a value, and idle beside an address; but haproxy adds no server that has one."""

_SPECIAL: Final = re.compile(r"""["'\\#$\x00-\x08\x0b-\x1f\x7f]""")
_PIECE: Final = re.compile(
    r"""(?P<gap>[ \t]+)|(?P<comment>\#.*)|\\(?P<escaped>[ \#\\"'])"""
    r"""|(?P<bare>[^\s\#\\"'\x00-\x1f]+)|'(?P<strong>[^'\x00-\x1f]*)'"""
    r"""|"(?P<weak>(?:[^"\\$\x00-\x1f]|\\["\\$])*)\""""
)
MOST_KNOWN: Final = 20_000
"""Lines that are not read again when they come again: of thousands of servers, few change."""

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """One line of `server`.

    `arguments` are the words of `default-server` and then its own, except those that say its
    weight and whether it is disabled.
    """

    name: str
    ip: str
    port: int
    weight: int = 1
    disabled: bool = False
    arguments: Words = ()


@dataclass(frozen=True, slots=True)
class Config:
    """`structure` holds, line by line, what only a reload can change.

    `backends` are those whose servers the admin socket can change; `proxies` the names of all
    sections that may have servers.
    """

    structure: Words = ()
    backends: Mapping[str, Mapping[str, Server]] = field(default_factory=dict)
    proxies: frozenset[str] = frozenset()

    def changed_since(self, loaded: Words) -> str | None:
        """Say which section differs from another structure; None where all is the same.

        Never says what stands in a section: there are passwords in some.
        """
        if self.structure == loaded:
            return None
        ours, theirs = _headers(self.structure), _headers(loaded)
        for header in ours:
            if header not in theirs:
                return f"`{header}` is new"
        for header in theirs:
            if header not in ours:
                return f"`{header}` is gone"
        header = "the beginning"
        for line, other in zip((*self.structure, ""), (*loaded, ""), strict=False):
            header = line if _is_header(line) else header
            if line != other:
                break
        return f"`{header}` has changed in more than its servers"


class _Line(NamedTuple):
    """A line with something on it. Its keyword is its first word as it stands there."""

    keyword: str
    text: str


class _Section(NamedTuple):
    """The lines up to the next keyword of a section; the first of them is its header."""

    lines: Sequence[_Line]
    is_conditional: bool


def parse(text: str) -> Config:
    """Read a configuration that haproxy accepts. Anything may come of one that it refuses."""
    structure: list[str] = []
    backends: dict[str, dict[str, Server]] = {}
    proxies: set[str] = set()
    inherited: dict[str | None, Words | None] = {None: ()}  # None: by those that name nobody
    for section in _sections(text):
        kind, name, *rest = (*(_words(section.lines[0].text) or ()), "", "")
        parent = rest[rest.index("from") + 1] if "from" in rest else None
        servers: dict[str, Server] | None = None
        if kind == "defaults":
            if name == "from":
                name, parent = "", rest[0]
            given = inherited.get(parent) if parent else ()
            inherited[None] = inherited[name] = _defaults(section, given)
        elif kind in _PROXIES:
            proxies.add(name)
            servers = _servers(section, inherited.get(parent))
        if servers is not None:
            backends[name] = servers
        structure += (
            _normal(line.text)
            for line in section.lines
            if servers is None or line.keyword != "server"
        )
    return Config(tuple(structure), backends, frozenset(proxies))


def _sections(text: str) -> Iterator[_Section]:
    lines: list[_Line] = []
    depth, is_conditional = 0, False
    for raw in text.split("\n"):
        line = raw.strip()
        if not line or line[0] == "#":
            continue
        keyword = line.split(None, 1)[0]
        if keyword in _SECTIONS:
            if lines:
                yield _Section(lines, is_conditional)
            lines, is_conditional = [], depth > 0
        elif keyword[0] == ".":
            depth += {".if": 1, ".endif": -1}.get(keyword, 0)
            is_conditional = True
        lines.append(_Line(keyword, line))
    if lines:
        yield _Section(lines, is_conditional)


def _defaults(section: _Section, given: Words | None) -> Words | None:
    """Return what `default-server` gives to sections that follow; None where it cannot be told."""
    for line in section.lines:
        if line.keyword == "default-server":
            given = _joined(given, line.text)
    return None if section.is_conditional else given


def _servers(section: _Section, given: Words | None) -> dict[str, Server] | None:
    """Return the servers by name, or None where the socket cannot speak of each."""
    if section.is_conditional:
        return None
    servers: dict[str, Server] = {}
    for keyword, text in section.lines:
        if keyword == "server":
            server = None if given is None else _server(text, given)
            if server is None or server.name in servers:
                return None
            servers[server.name] = server
        elif keyword == "default-server":
            given = _joined(given, text)
        elif keyword == "server-template" or text == "disabled":
            return None
    return servers


def _joined(given: Words | None, text: str) -> Words | None:
    words = _words(text)
    return None if words is None or given is None else given + words[1:]


@lru_cache(MOST_KNOWN)
def _server(text: str, given: Words) -> Server | None:
    """Read a line of `server`; None where the socket could not be told the same."""
    try:
        _, name, address, *own = _words(text) or ()
        host, _, port = address.removeprefix("ipv4@").removeprefix("ipv6@").rpartition(":")
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        weight, disabled = 1, False
        arguments: list[str] = []
        rest = iter((*given, *own))
        for word in rest:
            if word == "weight":
                weight = _number(next(rest))
            elif word in ("disabled", "enabled"):
                disabled = word == "disabled"
            elif word in _OF_NAMES_ONLY:
                next(rest)
            elif word == "no-check":  # a word that haproxy does not add a server with
                arguments = [argument for argument in arguments if argument != "check"]
            else:
                arguments.append(word)
        return Server(name, str(ip), _number(port), weight, disabled, _shared(tuple(arguments)))
    except (ValueError, StopIteration):
        return None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


@lru_cache(MOST_KNOWN)
def _shared(words: Words) -> Words:
    """Return the same object for the same words: most servers of a backend have the same."""
    return words


def _normal(text: str) -> str:
    words = _words(text)
    return text if words is None else " ".join(map(_escaped, words))


def _words(text: str) -> Words | None:
    """Split a line; None where only haproxy can: a variable, an escape that is not known here."""
    if not _SPECIAL.search(text):
        return tuple(text.split())
    words: list[str] = []
    is_new, at = True, 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            return None
        at = piece.end()
        if piece.lastgroup in ("gap", "comment"):
            is_new = True
            continue
        value = piece[piece.lastgroup or 0]
        if piece.lastgroup == "weak":
            value = re.sub(r"\\(.)", r"\1", value)
        if is_new:
            words.append("")
        words[-1] += value
        is_new = False
    return tuple(words)


def _escaped(word: str) -> str:
    return re.sub(r"""([\s"'\\#$])""", r"\\\1", word) or '""'


def _headers(structure: Words) -> dict[str, None]:
    return dict.fromkeys(line for line in structure if _is_header(line))


def _is_header(line: str) -> bool:
    return line.partition(" ")[0] in _SECTIONS
