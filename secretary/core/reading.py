"""The options settled: of all layers the first that names an option, read and checked.

Knows nothing of what the values are for, nor whether they agree: that is `resolve.py`'s.
"""

from collections import ChainMap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from secretary.core.errors import SettingsError
from secretary.core.given import Given, Layer
from secretary.core.option import Option
from secretary.core.sources import DEFAULT
from secretary.core.values import printable

MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value comes from. `service` is None for an option of the whole process.

    `value` may be printed; `source` is `--port`, `SECRETARY_PORT`, `port in FILE`,
    `service[1].port in FILE` or `default`.
    """

    service: str | None
    option: str
    value: str
    source: str

    @property
    def is_default(self) -> bool:
        return self.source == DEFAULT


class Reading:
    """The values of some options. Making one raises SettingsError for the first wrong value.

    `own` are the options that were given for this reading alone rather than for several.
    """

    def __init__(
        self, options: Iterable[Option], layers: Iterable[Layer], own: Collection[str] | None = None
    ) -> None:
        chain = ChainMap(*(dict(layer) for layer in layers))
        self._options = {option.name: option for option in options}
        self._given = {name: chain[name] for name in self._options if name in chain}
        self._own = own
        self._values = {
            name: _value(option, self._given.get(name)) for name, option in self._options.items()
        }

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def is_given(self, name: str) -> bool:
        """Whether somebody gave it: not a default."""
        return name in self._given and self._given[name].where != DEFAULT

    def is_own(self, name: str) -> bool:
        """Whether somebody gave it for this very service."""
        return self.is_given(name) and (self._own is None or name in self._own)

    def at(self, name: str) -> str:
        """Return where the value stands, for the beginning of an error's message."""
        return self._given[name].where

    def shown(self, name: str) -> str:
        """Return the value as it was given, fit to be printed."""
        option, given = self._options[name], self._given[name]
        return ", ".join(option.kind.show(text) for text in given.texts)

    def origins(self, service: str | None) -> list[Origin]:
        """Return where each value that is set comes from, in the order of the options."""
        return [
            Origin(service, name, self.shown(name), printable(given.where))
            for name, given in self._given.items()
            if given.texts
        ]


def _value(option: Option, given: Given | None) -> Any:
    if given is None:
        return None
    if option.many is None and len(given.texts) != 1:
        raise SettingsError(f"{given.where}: takes one value, got {len(given.texts)}")
    found = tuple(_one(option, text, given.where) for text in given.texts)
    if option.many is None:
        return found[0]
    try:
        return option.many.collect(found)
    except ValueError as error:
        texts = option.many.separator.join(given.texts)
        raise _refusal(option, texts, given.where, error) from error


def _one(option: Option, text: str, where: str) -> Any:
    try:
        text.encode()
        return option.kind.read(text)
    except UnicodeEncodeError:
        raise SettingsError(f"{where}: not UTF-8") from None
    except ValueError as error:
        raise _refusal(option, text, where, error) from error


def _refusal(option: Option, text: str, where: str, error: ValueError) -> SettingsError:
    shown = option.kind.show(text)
    if len(shown) > MOST_SHOWN:
        shown = f"{shown[:MOST_SHOWN]}…"
    reason = f" ({error})" if str(error) else ""
    return SettingsError(f"{where}: got '{shown}'{reason}, allowed: {option.kind.allowed}")
