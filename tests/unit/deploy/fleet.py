"""What fleet, the scheduler of units that came with CoreOS, makes of a unit file.

It follows github.com/coreos/fleet up to 1.0 (unit/unit.go, job/job.go, api/units.go) and the reader
of unit files that it carries, github.com/coreos/go-systemd/unit/deserialize.go. Where its ages
differ it keeps to the strictest: until 2015 a continued line counted as one.
"""

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

OPTIONS: Final = frozenset(
    {"Conflicts", "Global", "MachineID", "MachineMetadata", "MachineOf", "Replaces"}
)
"""Of [X-Fleet]. Others are warned of and have no effect."""
LONGEST: Final = 2047
"""Bytes in a line."""
_NAME: Final = re.compile(r"(?!@)[0-9A-Za-z:_.\\@-]+\.(service|socket|timer|path|mount|automount)")
_SPECIFIERS: Final = frozenset("nNpi")
_TRUE: Final = frozenset({"true", "yes", "1", "on", "t"})


class Refused(Exception):
    """What fleet would say."""


@dataclass(slots=True)
class UnitFile:
    """The options of each section, in their order and without comments, as systemd gets them."""

    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def all(self, section: str, key: str) -> list[str]:
        return [value for name, value in self.sections.get(section, []) if name == key]

    def last(self, section: str, key: str) -> str | None:
        """Return what counts where an option may be given only once."""
        return next(reversed(self.all(section, key)), None)


def read(text: str) -> UnitFile:
    """Return what stands in a unit file; Refused if fleet cannot read it as systemd does."""
    unit = UnitFile()
    options: list[tuple[str, str]] | None = None
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip().startswith(("#", ";")):
            if line.endswith("\\"):
                raise Refused("the line after a comment is taken for a part of it")
        elif line.startswith("["):
            name, _, rest = line[1:].partition("]")
            if rest.strip():
                raise Refused("found garbage after section name")
            options = unit.sections.setdefault(name, [])
        elif line.strip():
            name, equals, value = line.partition("=")
            if not equals or options is None:
                raise Refused("unexpected newline encountered while parsing option name")
            while value.endswith("\\"):
                more = next(lines, "")
                if not more.strip() or more.strip().startswith(("#", ";")):
                    raise Refused("only the rest of an option may follow a backslash")
                value = f"{value[:-1]} {more}"
            if len(f"{name}={value}".encode()) > LONGEST:
                raise Refused("line too long (max 2048 bytes)")
            options.append((name.strip(), value.strip()))
    return unit


def check(name: str, unit: UnitFile) -> None:
    """Refused if a unit of this name cannot be submitted, or not all of it would be heeded."""
    if not _NAME.fullmatch(name):
        raise Refused("invalid unit name")
    given = unit.sections.get("X-Fleet", [])
    for option, value in given:
        if option not in OPTIONS:
            raise Refused(f"unrecognized requirement: {option}")
        if unknown := set(re.findall("%(.)", value)) - _SPECIFIERS:
            raise Refused(f"%{unknown.pop()} is not expanded")
    peers, conflicts = unit.all("X-Fleet", "MachineOf"), unit.all("X-Fleet", "Conflicts")
    is_global = (unit.last("X-Fleet", "Global") or "").lower() in _TRUE
    if any(fnmatchcase(peer, glob) for peer in peers for glob in conflicts):
        raise Refused("unresolvable requirements: peer matches conflict")
    if any("*" in peer or "?" in peer for peer in peers):
        raise Refused("a peer is one unit: it would wait for ever")
    if is_global and (peers or conflicts):
        raise Refused("Global cannot be used with MachineOf or Conflicts")
    if unit.all("X-Fleet", "MachineID") and (peers or conflicts or is_global):
        raise Refused("MachineID cannot be used with the others")
