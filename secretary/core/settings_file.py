"""The TOML file: its keys are the options' names, and each [[service]] is one service.

Turns it into layers of texts and refuses what no option is called. It opens no file: the
bytes are the caller's to bring.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from secretary.core.errors import SettingsError
from secretary.core.options import BY_NAME, Option, Scope
from secretary.core.sources import Given, Layer, divide
from secretary.core.values import printable

TOML_NAMES = {
    str: "a string", int: "an integer", float: "a float", bool: "a boolean",
    list: "an array", dict: "a table",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file's layers: what stands at the top, and one for each [[service]] table."""

    path: str
    top: Layer
    services: tuple[Layer, ...] = ()


def parse(path: str, content: bytes) -> ParsedFile:
    """Read a file's content. SettingsError names the file and the key."""
    shown = printable(path)
    try:
        top = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"{shown}: not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{shown}: not TOML: {error}") from error
    tables = top.pop("service", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"service in {shown}: write each service as a table [[service]]")
    return ParsedFile(
        path,
        _layer(top, "", shown),
        tuple(_layer(table, f"service[{number}].", shown) for number, table in enumerate(tables)),
    )


def _layer(table: Mapping[str, Any], at: str, path: str) -> Layer:
    layer = {}
    for key, value in table.items():
        where = f"{at}{printable(key)} in {path}"
        option = _option(key, where)
        if at and option.scope is not Scope.SERVICE:
            raise SettingsError(f"{where}: belongs at the top of the file, outside [[service]]")
        layer[key] = Given(_texts(option, value, where), where)
    return layer


def _option(key: str, where: str) -> Option:
    option = BY_NAME.get(key)
    if option is not None and option.scope is not Scope.COMMAND:
        return option
    known = [name for name, known in BY_NAME.items() if known.scope is not Scope.COMMAND]
    close = difflib.get_close_matches(key.lower().replace("_", "-"), [*known, "service"], n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise SettingsError(f"{where}: there is no such option{hint}")


def _texts(option: Option, value: object, where: str) -> tuple[str, ...]:
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
