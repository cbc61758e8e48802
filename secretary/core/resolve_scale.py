"""scale.toml and flags into what the scaler needs.

Pure: whoever calls has read the file. What is wrong is a SettingsError of one line.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from secretary.core import settings_file
from secretary.core.errors import SettingsError
from secretary.core.given import Given, Layer
from secretary.core.option import Scope
from secretary.core.options import BY_NAME as SETTINGS
from secretary.core.reading import Reading
from secretary.core.resolve import Flags, etcd_settings, layers, options_of
from secretary.core.scale_options import BY_NAME, OPTIONS
from secretary.core.scaling import (
    MachineSettings,
    Metric,
    PolicySettings,
    ProviderName,
    ScaleGroup,
    ScaleSettings,
)
from secretary.core.settings import LogSettings
from secretary.core.settings_file import ParsedFile
from secretary.core.sources import DEFAULT, divide, from_environ, from_flags, own_defaults
from secretary.core.target import DOCKER
from secretary.core.values import printable

_DEFAULTS: Final[Layer] = {
    option.name: Given(divide(option, option.default or ""), DEFAULT)
    for option in OPTIONS
    if option.default is not None or option.many is not None
}
MOST_PREFIX: Final = 54
"""Characters of the machines' names that are the group's; the rest makes each name unique."""
_NEEDS: Final = {
    ProviderName.DOCKER: ("image",),
    ProviderName.DIGITALOCEAN: ("image", "size", "region"),
    ProviderName.OPENSTACK: ("image", "size"),
}


@dataclass(frozen=True, slots=True)
class ParsedTable:
    """A [[group]]; `where` is its name in messages."""

    where: str
    layer: Layer


def parse_scale(path: str, content: bytes) -> tuple[ParsedFile, tuple[ParsedTable, ...]]:
    """Read a scale.toml: what stands at its top, and its groups. SettingsError."""
    top = settings_file.toml(path, content)
    shown = printable(path)
    groups = tuple(
        ParsedTable(f"{at[:-1]} in {shown}", _layer(table, at, shown))
        for at, table in settings_file.tables(top, "group", "", shown)
    )
    return settings_file.parsed(path, top), groups


def resolve_scale_process(
    flags: Flags, environ: Mapping[str, str], file: ParsedFile | None
) -> ScaleSettings:
    """Return what holds for all groups; these are the caller's to fill in."""
    read = Reading(
        [*options_of("scale", Scope.PROCESS), SETTINGS["prefix"]],
        layers(
            (from_flags(flags), from_environ(environ)), file, own_defaults=own_defaults("scale")
        ),
    )
    return ScaleSettings(
        groups=(),
        etcd=etcd_settings(read),
        prefix=read["prefix"],
        status=read["status"],
        log=LogSettings(format=read["log-format"], level=read["log-level"]),
    )


def resolve_scale(
    flags: Mapping[str, Sequence[str]],
    tables: Sequence[ParsedTable],
    only: str | None,
    *,
    makes: bool = False,
) -> tuple[ScaleGroup, ...]:
    """Return all groups, or the `only` one. `flags` are of that one, which need not be in the file.

    `makes` is whether machines are to be made, for which more must be known.

    SettingsError, also for a name that two groups have.
    """
    layer = {
        name: Given(
            tuple(part for text in given for part in divide(BY_NAME[name], text)), f"--{name}"
        )
        for name, given in flags.items()
    }
    groups = [(_resolve({}, each), each) for each in tables]
    names = [group.name for group, _ in groups]
    lower = [name.lower() for name in names]  # clouds know no case in tags
    for name in names:
        if lower.count(name.lower()) > 1:
            raise SettingsError(f"group {name}: is in the file twice, the case of letters apart")
    if only is None:
        return tuple(group for group, _ in groups)
    mine = [table for group, table in groups if group.name == only]
    if not mine and tables and not layer:
        close = difflib.get_close_matches(only, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"
        raise SettingsError(f"group {only}: is not in the file{hint}")
    named = {"name": Given((only,), "the group's name")}
    table = mine[0] if mine else ParsedTable(f"group {only}", {})
    return (_resolve({**layer, **named}, table, makes=makes),)


def _layer(table: Mapping[str, Any], at: str, path: str) -> Layer:
    layer = {}
    for key, value in table.items():
        where = f"{at}{printable(key)} in {path}"
        option = BY_NAME.get(key) or BY_NAME.get(key.replace("_", "-"))
        if option is None:
            close = difflib.get_close_matches(key.lower().replace("_", "-"), BY_NAME, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise SettingsError(f"{where}: there is no such option{hint}")
        if option.name in layer:
            raise SettingsError(f"{where}: {option.name} is given twice")
        layer[option.name] = Given(settings_file.texts(option, value, where), where)
    return layer


def _resolve(flags: Layer, table: ParsedTable, *, makes: bool = False) -> ScaleGroup:
    read = Reading(OPTIONS, [flags, table.layer, _DEFAULTS])
    name = read["name"]
    if name is None:
        raise SettingsError(f"name is missing in {table.where}: the name of the group")
    if makes or table.layer:
        for needed in _NEEDS[read["provider"]]:
            if read[needed] is None:
                raise SettingsError(
                    f"{needed} is missing in {table.where}: {read['provider'].value} needs it"
                )
    return _group(read, name, table.where)


def _group(read: Reading, name: str, where: str) -> ScaleGroup:
    if read["min"] > read["max"]:
        raise _apart(read, "min", "at most", "max", "at least")
    if len(read["name-prefix"] or name) > MOST_PREFIX:
        at = "name-prefix" if read["name-prefix"] is not None else "name"
        raise SettingsError(
            f"{read.at(at)}: got '{read.shown(at)}', allowed: at most {MOST_PREFIX} characters, to"
            " which a hyphen and eight digits are added"
        )
    if read["register"] and read["port"] is None:
        raise SettingsError(f"port is missing in {where}: register = true needs it")
    if read["register"] and read["probe"] == DOCKER:
        raise SettingsError(
            f"{read.at('probe')}: docker is for a container's own secretary, not with register"
        )
    return ScaleGroup(
        name=name,
        service=read["service"] or name,
        provider=read["provider"],
        machine=MachineSettings(
            image=read["image"] or "",
            size=read["size"] or "",
            region=read["region"] or "",
            network=read["network"] or "",
            ssh_keys=read["ssh-key"],
            tags=read["tag"],
            user_data=read["user-data"],
        ),
        policy=_policy(read, where) if read["auto"] else None,
        name_prefix=read["name-prefix"] or "",
        min=read["min"],
        max=read["max"],
        port=read["port"],
        probe=read["probe"],
        register=read["register"],
        boot_timeout_s=read["boot-timeout"],
        drain_time_s=read["drain-time"],
        max_replacements=read["max-replacements"],
        max_unavailable=read["max-unavailable"],
        first=read["first"],
    )


def _policy(read: Reading, where: str) -> PolicySettings:
    metric = read["metric"]
    if metric is not Metric.CPU and read["source"] is None:
        raise SettingsError(f"source is missing in {where}: where {metric.value} is read")
    for threshold in ("up-at", "down-at"):
        if metric is not Metric.CPU and not read.is_given(threshold):
            raise SettingsError(
                f"{threshold} is missing in {where}: the default is for cpu, not {metric.value}"
            )
    if metric is Metric.PROMETHEUS and read["query"] is None:
        raise SettingsError(f"query is missing in {where}: what to ask Prometheus")
    if read["down-at"] >= read["up-at"]:
        raise _apart(read, "down-at", "less than", "up-at", "more than")
    return PolicySettings(
        metric=metric,
        up_at=read["up-at"],
        down_at=read["down-at"],
        interval_s=read["every"],
        up_window_s=read["up-window"],
        up_cooldown_s=read["up-cooldown"],
        down_window_s=read["down-window"],
        up_step=read["up-step"],
        down_step=read["down-step"],
        source=read["source"] or "",
        query=read["query"] or "",
    )


def _apart(read: Reading, low: str, below: str, high: str, above: str) -> SettingsError:
    """Return what is wrong with two that do not fit, of the one that somebody has given."""
    at, other, allowed = (low, high, below) if read.at(low) != DEFAULT else (high, low, above)
    by_default = " by default" if read.at(other) == DEFAULT else ""
    return SettingsError(
        f"{read.at(at)}: got '{read.shown(at)}', allowed: {allowed} {other}, which is"
        f" {read.shown(other)}{by_default}"
    )
