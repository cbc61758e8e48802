"""What was said of a secretary on the command line, as its unit says it.

Variables carry it, so that the files which the unit reads may say otherwise; what no variable can
carry stays a flag. Files that root alone may read are handed in. This shell's own variables are
nobody's word.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from secretary.cli.asked import Asked
from secretary.cli.units import syntax
from secretary.cli.units.secretary import MOST_WATCHDOG_S, Said
from secretary.core import sources
from secretary.core.errors import SettingsError
from secretary.core.option import Option
from secretary.core.options import BY_NAME, OPTIONS
from secretary.core.settings import RunSettings
from secretary.core.values import PATH, SWITCH, printable

UNSEEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - that is why
"""What ProtectHome= and PrivateTmp= keep from the service."""

PORT: Final = "port"
LEAST_WATCHDOG_S: Final = 1.0


def said(asked: Asked, program: str, unsaid: Mapping[str, str], *, is_instance: bool) -> Said:
    """Return what the unit is to say.

    `unsaid` is what the unit says by itself of options of which nothing else is said. An instance
    has its port for a name. SettingsError when a setting is wrong, or no service could have it.
    """
    supposed = {} if "config" in asked.flags else {name: (text,) for name, text in unsaid.items()}
    resolved = Asked({**supposed, **asked.flags}, {}).resolve()
    if not resolved.settings.services:
        raise SettingsError("--config: names a container; `secretary host` is for those")
    given = {origin.option for origin in resolved.origins if not origin.is_default}
    given -= supposed.keys() - asked.flags.keys()
    lines: list[str] = []
    flags: list[str] = []
    for option in OPTIONS:
        if option.name in asked.flags and not (is_instance and option.name == PORT):
            try:
                _say(option, asked.flags[option.name], lines, flags)
            except ValueError as error:
                raise SettingsError(f"--{option.name}: {error}") from error
    return Said(
        lines=lines,
        unsaid={name: text for name, text in unsaid.items() if name not in given},
        flags=flags,
        program=seen("program", program),
        watchdog_s=watchdog_s(resolved.settings),
    )


def watchdog_s(settings: RunSettings) -> float:
    """Return how long a secretary may hang.

    A lease is renewed at each third of its life, so two thirds at least are left when it hangs: one
    for the watchdog, one for the successor's start.
    """
    ttl_s = min(service.ttl_s for service in settings.services)
    return max(LEAST_WATCHDOG_S, min(MOST_WATCHDOG_S, ttl_s * 10 // 3 / 10))


def seen(option: str, path: str) -> str:
    """Return the whole path. SettingsError when it is where the service sees nothing."""
    whole = os.path.abspath(path)
    for place in UNSEEN:
        if any(Path(at).is_relative_to(place) for at in (whole, os.path.realpath(whole))):
            raise SettingsError(
                f"--{option}: {printable(whole)}: a service sees nothing in {place}"
            )
    return whole


def _say(option: Option, texts: tuple[str, ...], lines: list[str], flags: list[str]) -> None:
    if option.kind is PATH:
        path = os.path.abspath(texts[0])
        if option is BY_NAME["config"]:
            lines.append(syntax.environment(option.variable, _readable(path)))
        else:
            lines.append(syntax.credential(option.name, path))
            lines.append(f"Environment={option.variable}=%d/{option.name}")
        return
    if option.kind is SWITCH:
        texts = tuple(text.lower() for text in texts)
    texts = sources.from_flags({option.name: texts})[option.name].texts
    joined = (option.many.separator if option.many else "").join(texts)
    if joined and sources.divide(option, joined) == texts:
        lines.append(syntax.environment(option.variable, joined))
        return
    for text in texts:
        flags += [f"--{option.name}", text]


def _readable(path: str) -> str:
    """Return the path of a settings file: not handed in, since a reload reads it anew."""
    whole = Path(seen("config", path))
    for part in (whole, *whole.parents):
        wanted = stat.S_IXOTH if part.is_dir() else stat.S_IROTH
        if not part.stat().st_mode & wanted:
            raise ValueError(
                f"{printable(str(part))}: the service runs as an ordinary user and may not read it:"
                " chmod o+rX"
            )
    return str(whole)
