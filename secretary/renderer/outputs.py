"""From settings to what publishes: a template's source found and compiled, its file, its check.

SettingsError when something about it is wrong; nothing has been touched then.
"""

import importlib.resources
import logging
import os
import shutil
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

from secretary.core.errors import SettingsError, TemplateError
from secretary.core.settings import Builtin, GroupSettings, TemplateSettings
from secretary.renderer.files import Destination, check_owner, check_regular
from secretary.renderer.ports import Proxies
from secretary.renderer.publisher import Output, Publisher
from secretary.renderer.site import Site
from secretary.renderer.template import Facts, Load, Template

_log = logging.getLogger(__name__)

SOURCES: Final[Mapping[Builtin, str]] = {
    Builtin.NGINX: "nginx.conf.j2",
    Builtin.HAPROXY: "haproxy.cfg.j2",
}
CHECKS: Final[Mapping[Builtin, tuple[str, ...]]] = {
    Builtin.NGINX: ("nginx", "-t", "-q", "-c", "{wrapped}"),
    Builtin.HAPROXY: ("haproxy", "-c", "-q", "-f", "{staged}"),
}
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where proxies are, and where the path of an ordinary user does not look."""


def publisher(
    group: GroupSettings,
    environ: Mapping[str, str],
    proxies: Proxies,
    applied: MutableMapping[str, str],
) -> Publisher:
    """Return what publishes a group."""
    return Publisher(
        [output(template, environ) for template in group.templates],
        check=proxies.check,
        check_timeout_s=group.check_timeout_s,
        applied=applied,
        reload=proxies.reload(group),
        runtime=proxies.runtime(group),
    )


def output(settings: TemplateSettings, environ: Mapping[str, str]) -> Output:
    """Return what is made of one template."""
    try:
        site = Site.of(settings.builtin, settings.vars) if settings.builtin is not None else None
    except TemplateError as error:
        raise SettingsError(f"{settings.dest}: {error}") from error
    facts = Facts(settings.vars, environ, site)
    only = frozenset(settings.services)
    load: Load
    if settings.template is not None:
        path = Path(settings.template)
        name, load = path.name, _beside(path)
    else:
        name, load = SOURCES[settings.builtin or Builtin.NGINX], _builtin
    if settings.builtin is not None:
        syntax = settings.builtin.value
    else:
        syntax = "haproxy" if settings.dest.endswith(".cfg") else "nginx"
    try:
        check_regular(settings.dest)
        if settings.owner is not None:
            check_owner(settings.owner)
    except ValueError as error:
        raise SettingsError(f"dest {settings.dest}: {error}") from error
    try:
        template = Template(name, load, syntax, facts, only)
    except TemplateError as error:
        raise SettingsError(str(error)) from error
    return Output(
        template,
        Destination(settings.dest, settings.mode, settings.owner),
        _check_cmd(settings, environ),
    )


def _builtin(name: str) -> str | None:
    source = importlib.resources.files("secretary.renderer").joinpath("templates", name)
    return source.read_text() if source.is_file() else None


def _beside(path: Path) -> Load:
    """Load a template, and what it includes from the same directory."""

    def load(name: str) -> str | None:
        try:
            return (path.parent / name).read_text()
        except FileNotFoundError:
            if name == path.name:
                raise SettingsError(f"template {path}: there is no such file") from None
            return None
        except OSError as error:
            raise SettingsError(f"template {path.parent / name}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"template {path.parent / name}: not UTF-8") from error

    return load


def _check_cmd(settings: TemplateSettings, environ: Mapping[str, str]) -> tuple[str, ...]:
    if settings.check_cmd is not None:
        return settings.check_cmd
    if settings.builtin is None:
        return ()
    program, *rest = CHECKS[settings.builtin]
    path = os.pathsep.join((environ.get("PATH", os.defpath), _SBIN))
    if (found := shutil.which(program, path=path)) is None:
        _log.warning(
            "%s is not checked before it is put in place: %s is not installed here",
            settings.dest,
            program,
        )
        return ()
    return (found, *rest)
