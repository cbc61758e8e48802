"""The TOML file: its keys are the options' names, and each [[service]] is one service, each
[[template]] one template, each [[group]] templates that share a reload.

Turns it into layers of texts and refuses what no option is called. It opens no file: the
bytes are the caller's to bring.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from secretary.core.errors import SettingsError
from secretary.core.given import Given, Layer
from secretary.core.option import Option, Scope
from secretary.core.options import BY_NAME
from secretary.core.sources import divide
from secretary.core.values import printable

TOML_NAMES = {
    str: "a string", int: "an integer", float: "a float", bool: "a boolean",
    list: "an array", dict: "a table",
}  # fmt: skip


_HERE: Final = None
_TOP: Final = {
    Scope.PROCESS: _HERE, Scope.SERVICE: _HERE,
    Scope.TEMPLATE: "into a [[template]]", Scope.GROUP: "into a [[template]] or [[group]]",
}  # fmt: skip
_ELSEWHERE: Final = dict.fromkeys(Scope, "at the top of the file")
_SERVICE: Final = {
    **dict.fromkeys(Scope, "at the top of the file, outside [[service]]"),
    Scope.TEMPLATE: "into a [[template]]", Scope.GROUP: "into a [[template]] or [[group]]",
    Scope.SERVICE: _HERE,
}  # fmt: skip
_LONE: Final = {**_ELSEWHERE, Scope.TEMPLATE: _HERE, Scope.GROUP: _HERE}
_GROUP: Final = {**_ELSEWHERE, Scope.TEMPLATE: "into a [[group.template]]", Scope.GROUP: _HERE}
_TEMPLATE: Final = {**_ELSEWHERE, Scope.TEMPLATE: _HERE, Scope.GROUP: "into the [[group]]"}
"""What belongs into each kind of table, and where the rest does."""


@dataclass(frozen=True, slots=True)
class ParsedGroup:
    """A [[group]], or a [[template]] that stands alone; `where` is its name in messages."""

    where: str
    top: Layer
    templates: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file's layers: what stands at the top, and one for each table."""

    path: str
    top: Layer
    services: tuple[Layer, ...] = ()
    groups: tuple[ParsedGroup, ...] = ()


def parse(path: str, content: bytes) -> ParsedFile:
    """Read a file's content. SettingsError names the file and the key."""
    return parsed(path, toml(path, content))


def toml(path: str, content: bytes) -> dict[str, Any]:
    """Read TOML. SettingsError names the file."""
    shown = printable(path)
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"{shown}: not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{shown}: not TOML: {error}") from error


def parsed(path: str, top: dict[str, Any]) -> ParsedFile:
    """Read what a file says. SettingsError names the file and the key."""
    shown = printable(path)
    services = tables(top, "service", "", shown)
    lone = tables(top, "template", "", shown)
    groups = tables(top, "group", "", shown)
    return ParsedFile(
        path,
        _layer(top, "", shown, _TOP),
        tuple(_layer(table, at, shown, _SERVICE) for at, table in services),
        tuple(
            [_lone(table, at, shown) for at, table in lone]
            + [_group(table, at, shown) for at, table in groups]
        ),
    )


def _lone(table: Mapping[str, Any], at: str, path: str) -> ParsedGroup:
    return ParsedGroup(f"{at[:-1]} in {path}", {}, (_layer(table, at, path, _LONE),))


def _group(table: dict[str, Any], at: str, path: str) -> ParsedGroup:
    below = tables(table, "template", at, path)
    where = f"{at[:-1]} in {path}"
    if not below:
        raise SettingsError(f"{where}: has no [[group.template]]")
    templates = tuple(_layer(each, name, path, _TEMPLATE) for name, each in below)
    return ParsedGroup(where, _layer(table, at, path, _GROUP), templates)


def tables(table: dict[str, Any], key: str, at: str, path: str) -> list[tuple[str, dict[str, Any]]]:
    """Take the tables called `key` out of `table`; each with what its keys are called."""
    tables = table.pop(key, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        whole = f"{at.partition('[')[0]}.{key}" if at else key
        raise SettingsError(f"{at}{key} in {path}: write each {key} as a table [[{whole}]]")
    return [(f"{at}{key}[{number}].", each) for number, each in enumerate(tables)]


def _layer(
    table: Mapping[str, Any], at: str, path: str, scopes: Mapping[Scope, str | None]
) -> Layer:
    """Read a table's options. `scopes` are those that belong here, and where the others do."""
    layer = {}
    for key, value in table.items():
        where = f"{at}{printable(key)} in {path}"
        option = _option(key, where)
        if option.name in layer:
            raise SettingsError(f"{where}: {option.name} is given twice")
        if (belongs := scopes[option.scope]) is not None:
            raise SettingsError(f"{where}: belongs {belongs}")
        layer[option.name] = Given(texts(option, value, where), where)
    return layer


def _option(key: str, where: str) -> Option:
    option = BY_NAME.get(key) or BY_NAME.get(key.replace("_", "-"))
    if option is not None and option.scope is not Scope.COMMAND:
        return option
    known = [name for name, known in BY_NAME.items() if known.scope is not Scope.COMMAND]
    close = difflib.get_close_matches(
        key.lower().replace("_", "-"), [*known, "service", "template", "group"], n=1
    )
    hint = f"; did you mean {close[0]}?" if close else ""
    raise SettingsError(f"{where}: there is no such option{hint}")


def texts(option: Option, value: object, where: str) -> tuple[str, ...]:
    """Return a TOML value as the texts that a flag would have held."""
    many = option.many
    if many is not None and isinstance(value, list):
        return tuple(_text(option, entry, where) for entry in value)
    if many is not None and many.joint and isinstance(value, dict):
        return tuple(
            f"{_key(key, many.joint, where)}{many.joint}{_text(option, entry, where)}"
            for key, entry in value.items()
        )
    return divide(option, _text(option, value, where), keep_whole=True)


def _key(key: str, joint: str, where: str) -> str:
    if joint.strip() in key:
        raise SettingsError(f"{where}: the key {printable(key)!r} holds {joint.strip()!r}")
    return key


def _text(option: Option, value: object, where: str) -> str:
    if type(value) not in option.kind.native:
        wanted = " or ".join(TOML_NAMES[native] for native in option.kind.native)
        found = TOML_NAMES.get(type(value), "a date or time")
        raise SettingsError(f"{where}: got {found}, wanted {wanted}: {option.kind.allowed}")
    return str(value).lower() if isinstance(value, bool) else str(value)
