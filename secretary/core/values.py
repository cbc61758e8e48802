"""The kinds of value a setting can have: how a text is read as one, and what is allowed.

A reader returns the value or raises ValueError. The message, when there is one, says what is
amiss and never quotes the text: that is left to whoever knows whether it may be shown.
"""

import enum
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from secretary.core.instance import NAME_PATTERN
from secretary.core.settings import StatusRange

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SWITCH: Final = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


def printable(text: str) -> str:
    """Return `text` with everything that could move a cursor or fail to print escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@dataclass(frozen=True, slots=True)
class Kind:
    """`read` turns a text into a value; `allowed` says in words which texts it takes.

    `native` are the types of TOML that may stand for the text, `show` is the text as it may
    be printed.
    """

    read: Callable[[str], Any]
    metavar: str
    allowed: str
    native: tuple[type, ...] = (str,)
    show: Callable[[str], str] = printable


def whole(least: int, most: int, metavar: str = "N") -> Kind:
    """Whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return Kind(read, metavar, f"a whole number from {least} to {most}", (int, str))


def seconds(text: str) -> float:
    """Read `30s`, `500ms`, `2m`, `1.5h`, or a bare number of seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("no time")
    amount, unit = float(match[1]), match[2] or "s"
    return amount / 1000 if unit == "ms" else amount * _SECONDS[unit]


def duration(least: str, most: str, *, whole: bool = False) -> Kind:
    """Times from `least` to `most`, read as seconds: an int when only `whole` ones will do."""

    def read(text: str) -> float:
        value = seconds(text)
        if not seconds(least) <= value <= seconds(most):
            raise ValueError
        if whole and value != int(value):
            raise ValueError("not whole seconds")
        return int(value) if whole else value

    allowed = f"a time from {least} to {most}, such as 500ms, 2s or 1m"
    if whole:
        allowed = f"whole seconds from {least} to {most}, such as 30s or 2m"
    return Kind(read, "TIME", allowed, (int, float, str))


def choice(of: type[enum.Enum]) -> Kind:
    """One of an enum's values."""
    members = {str(member.value): member for member in of}

    def read(text: str) -> enum.Enum:
        if text not in members:
            raise ValueError
        return members[text]

    *most, last = members
    return Kind(read, "|".join(members), f"{', '.join(most)} or {last}")


def _switch(text: str) -> bool:
    try:
        return _SWITCH[text.lower()]
    except KeyError:
        raise ValueError from None


def _matching(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.match(pattern, text):
            raise ValueError
        return text

    return read


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError
    return text


def _text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError
    return text


def _method(text: str) -> str:
    if text.upper() not in METHODS:
        raise ValueError
    return text.upper()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _HEADER_NAME.fullmatch(name):
        raise ValueError
    if not (value.isascii() and value.isprintable()):
        raise ValueError("the value holds control characters or is not ASCII")
    return name, value.strip()


def key_value(text: str) -> tuple[str, str]:
    """Split `key=value`; the key is a name."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError("it has no '='")
    if not re.match(NAME_PATTERN, key):
        raise ValueError("the key is not a name")
    return key, value


def _meta(text: str) -> tuple[str, str]:
    key, value = key_value(text)
    if len(value) > 256 or not value.isprintable():
        raise ValueError("the value is too long or not printable")
    return key, value


def _status(text: str) -> StatusRange:
    match = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", text)
    if match is None:
        raise ValueError
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high:
        raise ValueError("the range runs backwards")
    return StatusRange(low, high)


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{error}") from error
    return text


def _prefix(text: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", text):
        raise ValueError
    if text.split("/")[1] == "secretary":
        raise ValueError("/secretary holds the programs' own keys")
    return text


def command(text: str) -> list[str]:
    """Split a command into its arguments as a shell would, without running one."""
    try:
        arguments = shlex.split(text)
    except ValueError:
        raise ValueError("a quotation is not closed") from None
    if not arguments or not arguments[0]:
        raise ValueError("there is no command")
    if "\0" in text:
        raise ValueError("it holds a NUL")
    return arguments


def _name_of_header(text: str) -> str:
    """A header may be a credential: show its name only."""
    name, colon, _ = text.partition(":")
    return f"{printable(name)}: …" if colon else "…"


def _container(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", text):
        raise ValueError
    return text


NAME_RULE: Final = "1 to 63 letters, digits and . _ - (the first and the last a letter or a digit)"
NAME: Final = Kind(_matching(NAME_PATTERN), "NAME", NAME_RULE)
CONTAINER: Final = Kind(_container, "NAME", "the name or id of a container, or self")
SWITCH: Final = Kind(_switch, "", "true or false", (bool, str))
PATH: Final = Kind(_path, "PATH", "the path of a file")
TEXT: Final = Kind(_text, "TEXT", "printable text")
METHOD: Final = Kind(_method, "METHOD", ", ".join(METHODS))
HEADER: Final = Kind(_header, "NAME: VALUE", "Name: value", show=_name_of_header)
META: Final = Kind(
    _meta, "KEY=VALUE", "key=value, the key like a name, the value at most 256 characters"
)
STATUS: Final = Kind(_status, "RANGES", "statuses and ranges such as 200-399,404", (int, str))
REGEX: Final = Kind(_regex, "REGEX", "a regular expression of Python")
PREFIX: Final = Kind(
    _prefix, "PREFIX", "/part or /part/part of letters, digits and . _ -, not under /secretary"
)
PORT: Final = whole(1, 65535, "PORT")
WEIGHT: Final = whole(0, 65535)
