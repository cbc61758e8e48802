"""What `secretary units install` is told of the app and the files: its own options."""

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import click

from secretary.cli.units import syntax
from secretary.core import values
from secretary.core.given import Given
from secretary.core.option import Option, Scope
from secretary.core.reading import Reading
from secretary.core.values import Kind, printable

_Verb = TypeVar("_Verb", bound=Callable[..., object])

_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,254}")
_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]+)?\.service")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}")


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError
        return text

    return read


def _command(text: str) -> str:
    """Read a command as a shell would split it; return it as a unit has it."""
    program, *arguments = values.command(text)
    if "/" in program:
        program = os.path.abspath(program)
    return syntax.command([program, *arguments])


def _program_of(text: str) -> str:
    """A command's arguments may be nobody's business."""
    program, space, _ = text.partition(" ")
    return f"{printable(program)} …" if space else printable(program)


_option = partial(Option, scope=Scope.COMMAND, verbs=frozenset({"units install"}))

OWN: Final = (
    _option(
        "image", Kind(_matching(_IMAGE), "IMAGE", "the name of an image"),
        "The app is a container of this image, on any number of ports.",
    ),
    _option(
        "container-port", values.PORT, "Port on which it listens in its container.", "80"
    ),
    _option(
        "exec",
        Kind(_command, "COMMAND", "a command with its arguments", show=_program_of),
        "The app is this command, in which {port} stands for the port; no shell.",
    ),
    _option(
        "user", Kind(_matching(_USER), "USER", "the name of a user"),
        "Who runs the command; without it, a user of its own.",
    ),
    _option(
        "unit",
        Kind(_matching(_UNIT), "UNIT", "a service such as shop.service or web@8080.service"),
        "The app is this unit, which is there already.",
    ),
    _option("dir", values.PATH, "Where the units are written.", "/etc/systemd/system"),
    _option(
        "program", values.PATH, "The secretary to be run; without it, the one that runs now."
    ),
)  # fmt: skip

_LAYERS: Final = [{o.name: Given((o.default,), "default") for o in OWN if o.default is not None}]


def takes_own(command: _Verb) -> _Verb:
    """Give a command the flags of these options."""
    for option in reversed(OWN):
        default = f"  [default: {option.default}]" if option.default else ""
        command = click.option(
            f"--{option.name}",
            option.parameter,
            metavar=option.kind.metavar,
            help=f"{option.help}{default}",
        )(command)
    return command


def read(given: Mapping[str, Any]) -> Reading:
    """Return their values. SettingsError names the first that is wrong."""
    flags = {
        option.name: Given((given[option.parameter],), f"--{option.name}")
        for option in OWN
        if given.get(option.parameter) is not None
    }
    return Reading(OWN, [flags, *_LAYERS])
