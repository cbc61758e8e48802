"""`secretary scale`: machines on request."""

import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from msgspec.structs import replace

from secretary.cli.asked import Asked, takes
from secretary.cli.simulating import simulating
from secretary.cli.surroundings import Surroundings
from secretary.cli.table import age, aligned
from secretary.core.errors import SettingsError
from secretary.core.resolve import resolve_config
from secretary.core.resolve_scale import (
    ParsedTable,
    parse_scale,
    resolve_scale,
    resolve_scale_process,
)
from secretary.core.rotation import Word
from secretary.core.scale_options import OPTIONS
from secretary.core.scaling import ScaleGroup, ScaleSettings
from secretary.core.settings_file import ParsedFile
from secretary.core.values import SWITCH, printable

if TYPE_CHECKING:
    from secretary.scaler.desk import Desk
    from secretary.scaler.roll import Row

_Verb = TypeVar("_Verb", bound=Callable[..., object])

COLUMNS: Final = ("#", "NAME", "ID", "ADDRESS", "STATE", "IN ROTATION", "AGE", "CLASS", "REASON")
FILES: Final = ("scale.toml", "/etc/secretary/scale.toml")
"""Where the groups are, unless --config says it."""
_TURNS: Final = {
    Word.ABSENT: "no", Word.PENDING: "not yet", Word.APPLIED: "yes", Word.DRAINED: "drained",
}  # fmt: skip
_OF_A_GROUP: Final = tuple(option for option in OPTIONS if option.name != "name")


@click.group()
def scale() -> None:
    """Make and remove machines, as asked or by load."""


scale.add_command(simulating)


def _takes_group(command: _Verb) -> _Verb:
    """Give a command the flags of a group's options, beside those of the whole process."""
    for option in reversed(_OF_A_GROUP):
        default = f"  [default: {option.default}]" if option.default else ""
        if option.kind is SWITCH:
            names, metavar = f"--{option.name}/--no-{option.name}", None
        else:
            names, metavar = f"--{option.name}", option.kind.metavar
        command = click.option(
            names,
            f"group_{option.parameter}",
            metavar=metavar,
            multiple=option.many is not None,
            default=None,
            help=f"{option.help}{default}",
        )(command)
    return command


@scale.command("ls")
@click.argument("group")
@takes("scale")
@click.pass_obj
def ls(around: Surroundings, /, group: str, **given: Any) -> int:
    """Show a group's machines."""
    with _desk(around, group, given) as desk:
        listing = desk.machines()
        rows = [COLUMNS, *(_row(row, around.now()) for row in listing.rows)]
        click.echo(aligned(rows))
        for line in (*listing.rejected, *([listing.trouble] if listing.trouble else ())):
            click.echo(f"secretary: {printable(line)}", err=True)
    return int(listing.trouble is not None)


@scale.command("up")
@click.argument("group")
@click.option("-n", "--number", type=click.IntRange(1, 1000), default=1, help="How many.")
@takes("scale")
@_takes_group
@click.pass_obj
def up(around: Surroundings, /, group: str, number: int, **given: Any) -> int:
    """Make a machine, or several, and wait until they are in service."""
    with _desk(around, group, given, makes=True) as desk:
        return _settled(desk, desk.up(number))


@scale.command("down")
@click.argument("group")
@click.argument("machine", required=False)
@takes("scale")
@click.pass_obj
def down(around: Surroundings, /, group: str, machine: str | None, **given: Any) -> int:
    """Drain and delete a machine: this one (name, id or number), or the best one."""
    with _desk(around, group, given) as desk:
        return _settled(desk, desk.down(machine))


@scale.command("to")
@click.argument("group")
@click.argument("number", type=click.IntRange(0, 1000))
@takes("scale")
@_takes_group
@click.pass_obj
def to(around: Surroundings, /, group: str, number: int, **given: Any) -> int:
    """Make or remove machines until there are so many."""
    with _desk(around, group, given, makes=number > 0) as desk:
        changed = desk.to(number)
        if not changed:
            click.echo(f"{group}: has {number} machines")
            return 0
        return _settled(desk, changed)


@scale.command("adopt")
@click.argument("group")
@click.argument("machine")
@takes("scale")
@click.pass_obj
def adopt(around: Surroundings, /, group: str, machine: str, **given: Any) -> int:
    """Take a machine that exists (its name or its provider's id) into the inventory."""
    with _desk(around, group, given) as desk:
        return _settled(desk, [desk.adopt(machine).id])


@scale.command("forget")
@click.argument("group")
@click.argument("machine")
@takes("scale")
@click.pass_obj
def forget(around: Surroundings, /, group: str, machine: str, **given: Any) -> None:
    """Take a machine out of the inventory, and leave it running."""
    with _desk(around, group, given) as desk:
        click.echo(f"{desk.forget(machine).id}: forgotten")


@scale.command("plan")
@click.argument("group")
@takes("scale")
@click.pass_obj
def plan(around: Surroundings, /, group: str, **given: Any) -> None:
    """Say what auto would do now, and why; touch nothing."""
    settings, asked_for = _settings(around, group, given)
    from secretary.scaler import inquiry

    with inquiry.plan(settings, asked_for, around.environ) as lines:
        for line in lines:
            click.echo(printable(line))


@scale.command("auto")
@takes("scale")
@click.pass_obj
def auto(around: Surroundings, /, **given: Any) -> int:
    """Follow the policy of every group of scale.toml, until SIGTERM or SIGINT."""
    asked = Asked.of(given, around.environ)
    settings = _all(asked)
    from secretary.scaler import app

    return app.run(settings, lambda: _all(asked))


def _all(asked: Asked) -> ScaleSettings:
    file, tables = groups_of(asked)
    groups = resolve_scale({}, tables, None)
    if not groups:
        raise SettingsError(f"--config is missing: a scale.toml with a [[group]], or {FILES[1]}")
    return replace(resolve_scale_process(asked.flags, asked.environ, file), groups=groups)


@contextmanager
def _desk(
    around: Surroundings, name: str, given: Mapping[str, Any], *, makes: bool = False
) -> "Iterator[Desk]":
    settings, group = _settings(around, name, given, makes=makes)
    from secretary.scaler.inquiry import desk

    with desk(settings, group, around.environ) as opened:
        if flags := _group_flags(given):
            opened.act([f"--{name}" for name in flags])
        yield opened


def _settings(
    around: Surroundings, name: str, given: Mapping[str, Any], *, makes: bool = False
) -> tuple[ScaleSettings, ScaleGroup]:
    """Return what holds for all groups, and the one of this name."""
    asked = Asked.of(given, around.environ)
    file, tables = groups_of(asked)
    (group,) = resolve_scale(_group_flags(given), tables, name, makes=makes)
    return resolve_scale_process(asked.flags, asked.environ, file), group


def _group_flags(given: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the flags of a group's options that were given, as texts, by the option's name."""
    flags: dict[str, tuple[str, ...]] = {}
    for option in _OF_A_GROUP:
        value = given.get(f"group_{option.parameter}")
        if option.kind is SWITCH and value is not None:
            flags[option.name] = ("true" if value else "false",)
        elif isinstance(value, tuple) and value:
            flags[option.name] = value
        elif isinstance(value, str):
            flags[option.name] = (value,)
    return flags


def groups_of(asked: Asked) -> tuple[ParsedFile | None, Sequence[ParsedTable]]:
    """Return what the file says; nothing where none is named and none of FILES is there."""
    named = resolve_config(asked.flags, asked.environ)
    for path in (named,) if named is not None else FILES:
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError as error:
            if named is not None:
                raise SettingsError(f"--config: {path}: {error.strerror}") from error
        except OSError as error:
            raise SettingsError(f"--config: {path}: {error.strerror}") from error
        else:
            return parse_scale(path, content)
    return None, ()


def _settled(desk: "Desk", ids: Sequence[str]) -> int:
    """Print what becomes of these machines, until they are where they are to be."""
    stop = threading.Event()

    def ended(*_: object) -> None:
        stop.set()

    before = {number: signal.signal(number, ended) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        well = desk.settle(ids, lambda line: click.echo(printable(line)), stop)
    finally:
        # Another signal, as timeout(1) sends, must not keep us from letting the lock go.
        for number, handler in before.items() if not stop.is_set() else ():
            signal.signal(number, handler)
    if stop.is_set():
        click.echo("secretary: not waited for; what was asked for stays asked for", err=True)
        return 130
    return int(not well)


def _shown(provider_id: str) -> str:
    """Return an id, or as much of a container's as Docker itself shows."""
    return provider_id[:12] if re.fullmatch(r"[0-9a-f]{64}", provider_id) else provider_id


def _row(row: "Row", now: datetime) -> tuple[str, ...]:
    machine, seen = row.machine, row.seen
    turn = _TURNS[row.word]
    return (
        str(machine.number or "-"),
        machine.id,
        _shown(machine.provider_id) if machine.provider_id is not None else "-",
        machine.endpoint or "-",
        machine.state.value,
        turn,
        age(now - machine.requested),
        (seen.cost_class if seen is not None else "") or "-",
        printable(machine.words) or "-",
    )
