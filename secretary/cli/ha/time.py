"""A time as an option of these commands, read as seconds."""

from collections.abc import Callable
from typing import TypeVar

import click

from secretary.core.errors import SettingsError
from secretary.core.values import duration, printable

_Verb = TypeVar("_Verb", bound=Callable[..., object])


def takes_time(
    flag: str, least: str, most: str, *, default: str, help: str
) -> Callable[[_Verb], _Verb]:
    """Give a command an option that holds seconds; SettingsError unless within its bounds."""
    kind = duration(least, most)

    def read(_: click.Context, __: click.Parameter, text: str) -> float:
        try:
            return float(kind.read(text))
        except ValueError as error:
            raise SettingsError(
                f"{flag}: got '{printable(text)}', allowed: {kind.allowed}"
            ) from error

    return click.option(
        flag, metavar="TIME", default=default, show_default=True, callback=read, help=help
    )
