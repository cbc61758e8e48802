"""Flags, environment and file into settings: the first that names an option wins, in this order.

Pure: whoever calls has read the file. What is wrong is a SettingsError of one line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

from secretary.core.errors import SettingsError
from secretary.core.given import Layer
from secretary.core.option import Option, Scope
from secretary.core.options import BY_NAME, OPTIONS
from secretary.core.reading import Origin, Reading
from secretary.core.services import service, together
from secretary.core.settings import (
    ContainerRules,
    EtcdSettings,
    HostPort,
    KeyBy,
    LogSettings,
    RunSettings,
    ServiceSettings,
)
from secretary.core.settings_file import ParsedFile
from secretary.core.sources import DEFAULTS, from_environ, from_flags, own_defaults
from secretary.core.target import DOCKER

Flags: TypeAlias = Mapping[str, tuple[str, ...]]
"""The texts of each option that stood on the command line."""

_ETCD = ("etcd", "etcd-user", "etcd-password-file", "etcd-cacert", "etcd-cert", "etcd-key")
_ONE_SERVICE_ONLY = ("name", "port")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings, and where each value of them comes from: first the process, then services."""

    settings: RunSettings
    origins: tuple[Origin, ...]


def resolve(flags: Flags, environ: Mapping[str, str], file: ParsedFile | None) -> Resolved:
    """Return all that `secretary run` needs."""
    shell = (from_flags(flags), from_environ(environ))
    process = Reading(options_of("run", Scope.PROCESS), layers(shell, file))
    asked = _asked_services(shell, file)
    fixed = [each for each in asked if each.read["container"] is None]
    services = tuple(service(each.read) for each in fixed)
    for each in fixed:
        if each.read["probe"] == DOCKER:
            raise SettingsError(f"{each.read.at('probe')}: docker is for a --container only")
    _refuse_shared_keys(services, [each.where for each in fixed])
    settings = run_settings(
        process,
        services=services,
        containers=tuple(
            ContainerRules(
                ref=each.read["container"], above=each.above, below=each.below, own=each.own
            )
            for each in asked
            if each.read["container"] is not None
        ),
    )
    origins = process.origins(None)
    for each in asked:
        origins += each.read.origins(each.read["name"] or f"container {each.read['container']}")
    return Resolved(settings, tuple(origins))


def run_settings(
    process: Reading,
    *,
    services: tuple[ServiceSettings, ...] = (),
    containers: tuple[ContainerRules, ...] = (),
) -> RunSettings:
    """Return the settings of an agent, whose options as a process are `process`."""
    return RunSettings(
        services=services,
        containers=containers,
        etcd=etcd_settings(process),
        drain_timeout_s=process["drain-timeout"],
        status=process["status"],
        log=LogSettings(format=process["log-format"], level=process["log-level"]),
    )


def resolve_directory(
    flags: Flags, environ: Mapping[str, str], file: ParsedFile | None
) -> tuple[EtcdSettings, str]:
    """Return etcd and the prefix: all that a reader of the directory needs."""
    read = _some_of((*_ETCD, "prefix"), flags, environ, file)
    return etcd_settings(read), read["prefix"]


def resolve_config(flags: Flags, environ: Mapping[str, str]) -> str | None:
    """Return the path of the file to read, if any."""
    path: str | None = _some_of(("config",), flags, environ, None)["config"]
    return path


def resolve_status(
    flags: Flags, environ: Mapping[str, str], file: ParsedFile | None
) -> HostPort | None:
    """Return where the status server listens; None when it is off."""
    status: HostPort | None = _some_of(("status",), flags, environ, file)["status"]
    return status


def _some_of(
    names: Sequence[str], flags: Flags, environ: Mapping[str, str], file: ParsedFile | None
) -> Reading:
    shell = (from_flags(flags), from_environ(environ))
    return Reading([BY_NAME[name] for name in names], layers(shell, file))


def options_of(verb: str, *scopes: Scope) -> list[Option]:
    """Return the options of these scopes that a verb takes."""
    return [option for option in OPTIONS if option.scope in scopes and verb in option.verbs]


def layers(
    shell: Sequence[Layer],
    file: ParsedFile | None,
    table: Layer | None = None,
    own_defaults: Layer | None = None,
) -> list[Layer]:
    """Return the layers in which an option is looked for, the first that names it wins."""
    return [*shell, table or {}, file.top if file else {}, own_defaults or {}, DEFAULTS]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for one service: `above` was said of it, `below` holds for others as well."""

    read: Reading
    above: tuple[Layer, ...]
    below: tuple[Layer, ...]
    own: frozenset[str]
    where: str


def _asked_services(shell: Sequence[Layer], file: ParsedFile | None) -> list[_Asked]:
    """Return one for each [[service]] table, or a single one when there is none."""
    tables = file.services if file is not None else ()
    if file is None or len(tables) < 2:
        asked = _asked(shell, file, tables[0] if tables else {}, "", is_only=True)
        if (name := _missing(asked)) is not None:
            raise SettingsError(
                f"--{name} is missing: give it, or {BY_NAME[name].variable}, or {name} in the"
                " --config file"
            )
        return [asked]
    for name, layer in product((*_ONE_SERVICE_ONLY, "container"), shell):
        if name in layer:
            raise SettingsError(
                f"{layer[name].where}: speaks of one service, and {file.path} has"
                f" {len(tables)} [[service]] tables"
            )
    found = []
    for number, table in enumerate(tables):
        asked = _asked(shell, file, table, f"service[{number}] in {file.path}", is_only=False)
        if (name := _missing(asked)) is not None:
            raise SettingsError(f"service[{number}].{name} in {file.path}: is missing")
        found.append(asked)
    return found


def _asked(
    shell: Sequence[Layer], file: ParsedFile | None, table: Layer, where: str, *, is_only: bool
) -> _Asked:
    own = {*table, *(name for layer in shell for name in layer)} if is_only else set(table)
    above = (*shell, table)
    below = tuple(layers((), file))
    read = Reading(options_of("run", Scope.SERVICE), (*above, *below), own=None if is_only else own)
    if read["container"] is not None:
        grace = {"grace": own_defaults("host")["grace"]}
        below = tuple(layers((), file, own_defaults=grace))
    return _Asked(read, above, below, frozenset(own), where)


def _missing(asked: _Asked) -> str | None:
    """Return what a service needs and has not. A container tells its name and port itself."""
    if asked.read["container"] is not None:
        return None
    return next((name for name in _ONE_SERVICE_ONLY if not asked.read.is_given(name)), None)


def etcd_settings(read: Reading) -> EtcdSettings:
    """Return where etcd is. SettingsError when what is given does not go together."""
    secure, endpoints = read["etcd"]
    for name in ("etcd-cacert", "etcd-cert", "etcd-key"):
        if read.is_given(name) and not secure:
            raise SettingsError(
                f"{read.at(name)}: is for https:// only, and etcd is {read.shown('etcd')}"
                f" ({read.at('etcd')})"
            )
    together(read, "etcd-cert", "etcd-key")
    together(read, "etcd-user", "etcd-password-file")
    return EtcdSettings(
        endpoints=endpoints,
        secure=secure,
        user=read["etcd-user"],
        password_file=read["etcd-password-file"],
        cacert=read["etcd-cacert"],
        cert=read["etcd-cert"],
        key=read["etcd-key"],
    )


def _refuse_shared_keys(services: Sequence[ServiceSettings], labels: Sequence[str]) -> None:
    """Two services that would write one key would take it from each other for ever."""
    for (a, one), (b, other) in combinations(enumerate(services), 2):
        if (one.prefix, one.name, one.ip) != (other.prefix, other.name, other.ip):
            continue
        both = f"{labels[a]} and {labels[b]} are both {one.name} at {one.ip}"
        if one.port == other.port:
            raise SettingsError(f"{both}, port {one.port}: leave one of them out")
        if one.key_by is other.key_by is KeyBy.IP:
            raise SettingsError(f"{both} and would share one key: give --key-by ip-port")
