"""Flags, environment and file into what `secretary render` needs.

Pure, like `resolve.py`. Templates come from the command line (one), or from the file (any
number, alone or in groups); what is wrong is a SettingsError of one line.
"""

import posixpath
from collections.abc import Mapping, Sequence

import msgspec

from secretary.core.errors import SettingsError
from secretary.core.given import Layer
from secretary.core.option import Scope
from secretary.core.options import BY_NAME
from secretary.core.reading import Reading
from secretary.core.resolve import Flags, etcd_settings, layers, options_of
from secretary.core.settings import (
    Builtin,
    GroupSettings,
    GuardSettings,
    LogSettings,
    PaceSettings,
    RenderSettings,
    TemplateSettings,
)
from secretary.core.settings_file import ParsedFile, ParsedGroup
from secretary.core.sources import from_environ, from_flags, own_defaults

_VERB = "render"


def resolve_render(
    flags: Flags, environ: Mapping[str, str], file: ParsedFile | None
) -> RenderSettings:
    """Return all that `secretary render` needs."""
    shell = (from_flags(flags), from_environ(environ))
    process = Reading(
        [*options_of(_VERB, Scope.PROCESS), BY_NAME["prefix"]],
        layers(shell, file, own_defaults=own_defaults(_VERB)),
    )
    groups = _groups(shell, file)
    _refuse_shared_destinations(groups, process["state"])
    return RenderSettings(
        groups=groups,
        etcd=etcd_settings(process),
        prefix=process["prefix"],
        id=process["id"],
        state=process["state"],
        resync_s=process["resync"],
        pace=PaceSettings(
            min_wait_s=process["min-wait"],
            max_wait_s=process["max-wait"],
            reload_gap_s=process["reload-gap"],
        ),
        guard=GuardSettings(
            max_loss=process["max-loss"],
            hold_s=process["hold"],
            min_instances=dict(process["min-instances"]),
        ),
        status=process["status"],
        log=LogSettings(format=process["log-format"], level=process["log-level"]),
    )


def _groups(shell: Sequence[Layer], file: ParsedFile | None) -> tuple[GroupSettings, ...]:
    if file is None or not file.groups:
        return (_group(shell, ParsedGroup("", {}, ({},))),)
    for layer in shell:
        for option in options_of(_VERB, Scope.TEMPLATE, Scope.GROUP):
            if option.name in layer:
                raise SettingsError(
                    f"{layer[option.name].where}: speaks of a template, and those are in"
                    f" {file.path}: leave one of them out"
                )
    return tuple(_group((), group) for group in file.groups)


def _group(shell: Sequence[Layer], parsed: ParsedGroup) -> GroupSettings:
    # A lone template's table holds what is its group's as well.
    top = parsed.top or parsed.templates[0]
    read = Reading(options_of(_VERB, Scope.GROUP), layers(shell, None, top))
    templates = tuple(
        _template(Reading(options_of(_VERB, Scope.TEMPLATE), layers(shell, None, table)), parsed)
        for table in parsed.templates
    )
    if read.is_given("runtime"):
        if not read.is_given("reload"):
            raise SettingsError(
                f"{read.at('runtime')}: needs a reload as well: not all can be changed in a"
                " running proxy"
            )
        if len(templates) > 1:
            raise SettingsError(
                f"{read.at('runtime')}: is for a template that stands alone: HAProxy's servers"
                " are brought to one configuration"
            )
        (template,) = templates
        if template.builtin is Builtin.HAPROXY and "runtime" not in template.vars:
            # The built-in configuration opens the socket that we are to use.
            given = {**template.vars, "runtime": read["runtime"]}
            templates = (msgspec.structs.replace(template, vars=given),)
    return GroupSettings(
        templates=templates,
        reload=read["reload"],
        pidfile=read["pidfile"],
        runtime=read["runtime"],
        reload_timeout_s=read["reload-timeout"],
        check_timeout_s=read["check-timeout"],
        settle_s=read["settle"],
    )


def _template(read: Reading, parsed: ParsedGroup) -> TemplateSettings:
    builtin, template = read["builtin"], read["template"]
    if builtin is None and template is None:
        raise SettingsError(_missing("builtin", parsed, "nginx or haproxy, or a template"))
    if not read.is_given("dest"):
        raise SettingsError(_missing("dest", parsed, "the file to keep right"))
    return TemplateSettings(
        dest=read["dest"],
        builtin=builtin,
        template=template,
        mode=read["mode"],
        owner=read["owner"],
        check_cmd=read["check-cmd"],
        services=read["only"],
        vars=dict(read["var"]),
    )


def _missing(name: str, parsed: ParsedGroup, wanted: str) -> str:
    if parsed.where:
        return f"{name} is missing in {parsed.where}: {wanted}"
    return (
        f"--{name} is missing: {wanted}; give it, or {BY_NAME[name].variable}, or a [[template]]"
        " in the --config file"
    )


def _refuse_shared_destinations(groups: Sequence[GroupSettings], state: str | None) -> None:
    templates = [template for group in groups for template in group.templates]
    sources = {posixpath.normpath(t.template) for t in templates if t.template is not None}
    seen = {posixpath.normpath(state)} if state is not None else set()
    for template in templates:
        path = posixpath.normpath(template.dest)
        if path in seen:
            other = "the state" if state is not None and path == posixpath.normpath(state) else ""
            raise SettingsError(
                f"dest {template.dest}: {other or 'another template'} would be written there too"
            )
        if path in sources:
            raise SettingsError(f"dest {template.dest}: is a template itself")
        seen.add(path)
