"""What was asked for: the flags and the environment of one call, and the file they name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from secretary.core import resolve, settings_file
from secretary.core.errors import SettingsError
from secretary.core.option import Option
from secretary.core.options import OPTIONS
from secretary.core.resolve import Flags, Resolved
from secretary.core.resolve_host import resolve_host
from secretary.core.resolve_render import resolve_render
from secretary.core.settings import EtcdSettings, HostPort, RenderSettings
from secretary.core.settings_file import ParsedFile
from secretary.core.values import SWITCH

_Verb = TypeVar("_Verb", bound=Callable[..., object])


def takes(verb: str) -> Callable[[_Verb], _Verb]:
    """Give a command the flags of all options that `verb` takes."""

    def decorate(command: _Verb) -> _Verb:
        for option in reversed(OPTIONS):
            if verb in option.verbs:
                command = _flag(option, verb)(command)
        return command

    return decorate


def _flag(option: Option, verb: str) -> Callable[[_Verb], _Verb]:
    many = "  May be given several times." if option.many else ""
    text = option.own_defaults.get(verb, option.default)
    default = f"  [default: {text}]" if text else ""
    help_text = f"{option.help}{many}{default}"
    if option.kind is SWITCH:
        both = f"--{option.name}/--no-{option.name}"
        return click.option(both, option.parameter, default=None, help=help_text)
    return click.option(
        f"--{option.name}",
        option.parameter,
        metavar=option.kind.metavar,
        multiple=option.many is not None,
        help=help_text,
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """Reads the file anew at each call, so that it can serve a reload."""

    flags: Flags
    environ: Mapping[str, str]

    @classmethod
    def of(cls, given: Mapping[str, Any], environ: Mapping[str, str]) -> "Asked":
        """Return what click has `given`, by parameter: a text, a tuple of them, a bool or None."""
        flags = {}
        for option in OPTIONS:
            value = given.get(option.parameter)
            if value not in (None, ()):
                flags[option.name] = value if isinstance(value, tuple) else (str(value),)
        return cls(flags, environ)

    def resolve(self) -> Resolved:
        return resolve.resolve(self.flags, self.environ, self._file())

    def host(self) -> Resolved:
        return resolve_host(self.flags, self.environ, self._file())

    def render(self) -> RenderSettings:
        return resolve_render(self.flags, self.environ, self._file())

    def directory(self) -> tuple[EtcdSettings, str]:
        return resolve.resolve_directory(self.flags, self.environ, self._file())

    def status(self) -> HostPort | None:
        return resolve.resolve_status(self.flags, self.environ, self._file())

    def _file(self) -> ParsedFile | None:
        path = resolve.resolve_config(self.flags, self.environ)
        if path is None:
            return None
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise SettingsError(f"--config: {path}: {error.strerror}") from error
        return settings_file.parse(path, content)
