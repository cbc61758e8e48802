"""`secretary units install`: systemd units for one's own app, with nothing to edit by hand."""

import os
import pwd
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from secretary.cli.asked import Asked, takes
from secretary.cli.units import files, options
from secretary.cli.units.files import Fate
from secretary.cli.units.pair import Pair, in_docker, of_command, of_unit
from secretary.cli.units.said import said, seen
from secretary.cli.units.secretary import IN_DOCKER, IN_GENERAL
from secretary.core.errors import SettingsError
from secretary.core.reading import Reading
from secretary.core.values import NAME, PORT, printable

_MADE_UP: Final = range(61184, 65520)
"""Of systemd itself, for DynamicUser= (systemd.exec(5)): this unit's own, while it runs."""
_KINDS: Final = ("image", "exec", "unit")
_ONLY_WITH: Final = {"container-port": "image", "user": "exec"}
_PROGRAM: Final = "secretary"


def _without(*parameters: str) -> Callable[[click.Command], click.Command]:
    """Take flags away that mean nothing here: NAME says one, the others are for containers."""

    def decorate(command: click.Command) -> click.Command:
        command.params = [each for each in command.params if each.name not in parameters]
        return command

    return decorate


@click.group()
def units() -> None:
    """Write systemd units for your own app."""


@_without("name", "container", "advertise", "network")
@units.command()
@click.argument("service", metavar="NAME")
@options.takes_own
@click.option("--force", is_flag=True, help="Replace units that are there already.")
@click.option("--print", "show", is_flag=True, help="Print the units, touch nothing.")
@takes("run")
def install(service: str, force: bool, show: bool, **given: Any) -> None:
    """Write two units: one for the app NAME, one for its secretary, which the first brings along.

    Give --image, --exec or --unit. The options of `secretary run` go into the secretary's unit;
    variables of this shell do not.
    """
    own = options.read(given)
    pair = _pair(service, own, given)
    directory = Path(os.path.abspath(own["dir"]))
    texts = {directory / path: text for path, text in pair.texts.items()}
    if show:
        click.echo("\n".join(f"# {path}\n{text}" for path, text in texts.items()), nl=False)
        return
    if not directory.is_dir():
        raise SettingsError(f"--dir: {printable(str(directory))} is no directory")
    fates = files.put(texts, force=force)
    for path, fate in fates.items():
        click.echo(f"{path}: {fate.value}")
    click.echo("\n    systemctl daemon-reload")
    for path, fate in fates.items():
        if fate is Fate.REPLACED and path.suffix == ".service":
            click.echo(f"    systemctl try-restart '{path.name.replace('@.', '@*.')}'")
    click.echo(f"    {pair.begin}")


def _pair(service: str, own: Reading, given: Mapping[str, Any]) -> Pair:
    """Return the units. SettingsError names the first thing that is wrong; nothing is touched."""
    try:
        name = NAME.read(service)
    except ValueError:
        raise SettingsError(f"NAME: got '{printable(service)}', allowed: {NAME.allowed}") from None
    kind = _kind(own)
    if given["port"] is None:
        raise SettingsError(f"--port is missing: give it, allowed: {PORT.allowed}")
    asked = Asked.of({**given, "name": name}, {})
    program = own["program"] or running()
    unsaid = IN_DOCKER if kind == "image" else IN_GENERAL
    words = said(asked, program, unsaid, is_instance=kind != "unit")
    if kind == "unit":
        return of_unit(name, own["unit"], words)
    port = PORT.read(given["port"])
    if kind == "exec":
        if own["user"] is None and _is_user(name):
            raise SettingsError(
                f"NAME: there is a user {name} here, who would run it: give --user {name}, or"
                " another NAME"
            )
        if own["user"] is None:
            seen("exec", shlex.split(own["exec"])[0])
        return of_command(name, own["exec"], own["user"], port, words)
    return in_docker(name, own["image"], own["container-port"], port, words)


def _kind(own: Reading) -> str:
    found = [kind for kind in _KINDS if own.is_given(kind)]
    if len(found) != 1:
        raise SettingsError(
            "--image, --exec and --unit: give one of them: the app is a container of an image, a"
            " command, or a unit that is there already"
        )
    for option, kind in _ONLY_WITH.items():
        if own.is_given(option) and kind != found[0]:
            raise SettingsError(f"--{option}: is for --{kind} only")
    return found[0]


def _is_user(name: str) -> bool:
    """Whether systemd would find this user instead of making one up for the unit's name."""
    try:
        return pwd.getpwnam(name).pw_uid not in _MADE_UP
    except KeyError:
        return False


def running() -> str:
    """Return the path of the secretary that runs now."""
    called = os.path.realpath(sys.argv[0])
    beside_python = os.path.join(os.path.dirname(sys.executable), _PROGRAM)
    for path in (called, beside_python):
        if os.path.basename(path) == _PROGRAM and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise SettingsError("--program is missing: the path of the secretary cannot be told by itself")
