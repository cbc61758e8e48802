"""A template: compiled once, rendered for a view, with what the last rendering made kept.

The only importer of Jinja2. Reads no file: sources are brought by whoever calls. What stands in
a record cannot add a line to a configuration: all fields but free text are of safe characters,
and free text cannot be printed without a filter that quotes it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn

import jinja2
from jinja2.runtime import Macro

from secretary.core.errors import TemplateError
from secretary.core.values import printable
from secretary.renderer.services import Service, Text, View
from secretary.renderer.site import Site

Load = Callable[[str], str | None]
"""Returns the source of a template by its name, None when there is none of this name."""

MOST_WEIGHT: Final = 65535
MOST_KEPT: Final = 1000
"""Pieces of text that are kept beyond two for each instance."""
_WORD: Final = re.compile(r"[A-Za-z0-9._:/@-]+")


@dataclass(frozen=True, slots=True)
class Facts:
    """What templates are told beside the directory."""

    vars: Mapping[str, str]
    environ: Mapping[str, str]
    site: Site | None = None
    """The vars as a built-in template understands them."""


class Services:
    """`services` in a template; notes which of them it has looked at."""

    def __init__(self, view: View, only: frozenset[str]) -> None:
        self._services = (
            {name: view.services.get(name, Service(name)) for name in sorted(only)}
            if only
            else view.services
        )
        self.used: set[str] | None = set()
        """Names; None once all have been looked at."""

    def __getitem__(self, name: str) -> Service:
        if not isinstance(name, str):
            raise KeyError(name)
        if self.used is not None:
            self.used.add(name)
        return self._services.get(name) or Service(name)

    def __contains__(self, name: object) -> bool:
        if self.used is not None and isinstance(name, str):
            self.used.add(name)
        return name in self._services

    def __iter__(self) -> Iterator[Service]:
        self.used = None
        return iter(self._services.values())

    def __len__(self) -> int:
        self.used = None
        return len(self._services)


class Template:
    """One template. `render` is for one thread."""

    def __init__(
        self, name: str, load: Load, syntax: str, facts: Facts, only: frozenset[str] = frozenset()
    ) -> None:
        """Compile what `load` has under `name`. TemplateError names the line.

        `syntax` is `nginx` or `haproxy`: what the filter `quote` does. `only` are the services
        that the template gets to see; all when empty.
        """
        self.name = name
        self._only = only
        self._kept: dict[Any, str] = {}
        self._text: str | None = None
        self._looked: Mapping[str, Service | None] | None = None
        """What the last rendering looked at; None when it looked at all."""
        self._before: Mapping[str, Service] = {}
        self._loaded: set[str] = set()
        environment = jinja2.Environment(
            loader=jinja2.FunctionLoader(lambda name: self._source(load, name)),
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # noqa: S701 - no HTML; free text has its own guard
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
            cache_size=50,
        )
        environment.filters |= {
            "quote": {"nginx": nginx_quote, "haproxy": haproxy_quote}[syntax],
            "nginx_quote": nginx_quote,
            "haproxy_quote": haproxy_quote,
            "haproxy_format": haproxy_format,
            "json": _json,
            "comment": comment,
            "word": word,
        }
        environment.globals |= {
            "vars": dict(facts.vars),
            "env": dict(facts.environ),
            "site": facts.site,
            "fail": _fail,
            "remembered": self._remembered,
            "for_each": self._for_each,
        }
        try:
            self._template = environment.get_template(name)
        except jinja2.TemplateNotFound as error:
            raise TemplateError(f"template {name}: there is no {error}") from error
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(
                f"template {error.name or name}, line {error.lineno}: {error.message}"
            ) from error

    def render(self, view: View, now: datetime) -> str:
        """Return the text for `view`: the last one while nothing that it used has changed.

        TemplateError names the template and the line.
        """
        if self._text is not None and self._is_same(view):
            return self._text
        services = Services(view, self._only)
        if len(self._kept) > MOST_KEPT + 2 * sum(map(len, view.services.values())):
            self._kept.clear()
        try:
            text = self._template.render(services=services, revision=view.revision, now=now)
        except jinja2.TemplateNotFound as error:
            raise TemplateError(f"template {self._where(error)}: there is no {error}") from error
        except Exception as error:  # whatever an expression of the template's author raises
            why = printable(str(error) or type(error).__name__)
            raise TemplateError(f"template {self._where(error)}: {why}") from error
        self._text, self._before = text, view.services
        used = services.used
        self._looked = None if used is None else {n: view.services.get(n) for n in used}
        return text

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The services that the last rendering looked at by name."""
        return tuple(self._looked or ())

    def _is_same(self, view: View) -> bool:
        if self._looked is not None:
            return all(view.services.get(n) is before for n, before in self._looked.items())
        now, before = view.services, self._before
        names = self._only or now.keys() | before.keys()
        return now is before or all(now.get(name) is before.get(name) for name in names)

    def _source(self, load: Load, name: str) -> tuple[str, str, None] | None:
        source = load(name)
        if source is None:
            return None
        self._loaded.add(name)
        return source, name, None

    def _where(self, error: Exception) -> str:
        """Return the innermost line of a template in the error's traceback, as Jinja2 tells it."""
        where, trace = "", error.__traceback__
        while trace is not None:
            if (name := trace.tb_frame.f_code.co_filename) in self._loaded:
                where = f"{name}, line {trace.tb_lineno}"
            trace = trace.tb_next
        return where or self.name

    def _remembered(self, macro: Macro, *arguments: object) -> str:
        """Return what a macro that depends on its arguments alone makes of them."""
        # By its code, as two files may have macros of one name; by types, as 1 is True to a dict.
        key = (macro._func.__code__, *((type(each), each) for each in arguments))
        text = self._kept.get(key)
        if text is None:
            text = self._kept[key] = str(macro(*arguments))
        return text

    def _for_each(self, macro: Macro, service: Service, most: int = MOST_WEIGHT) -> str:
        """Return what a macro makes of each instance and its share of `most`, in order.

        Remembered, so that of thousands only those are made that have changed.
        """
        kept, code, scaled = self._kept, macro._func.__code__, service.heaviest > most
        parts = []
        for server in service.instances:
            share = service.share(server, most) if scaled else server.record.weight
            text = kept.get((code, server, share))
            if text is None:
                text = kept[code, server, share] = str(macro(server, share))
            parts.append(text)
        return "".join(parts)


def _fail(message: str) -> NoReturn:
    raise TemplateError(message)


def _alike(one: Service, other: Service) -> bool:
    return one is other or not (one.instances or other.instances)


# What templates may do with free text


def _raw(value: object) -> str:
    if isinstance(value, jinja2.Undefined):
        return str(value)  # which raises, and says what is not there
    if isinstance(value, Text):
        return value.raw
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError(f"cannot be quoted: {type(value).__name__}")


def nginx_quote(value: object) -> str:
    """Return one parameter of nginx's syntax. It has no escape for `$`, which becomes `_`."""
    raw = printable(_raw(value)).replace("\\", "\\\\").replace('"', '\\"').replace("$", "_")
    return f'"{raw}"'


def haproxy_quote(value: object) -> str:
    """Return one word of HAProxy's syntax, without expansion of the environment."""
    raw = printable(_raw(value)).replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{raw}"'


def haproxy_format(value: object) -> str:
    """Return one word for where HAProxy takes a log format: `%` is only a percent sign."""
    return haproxy_quote(_raw(value).replace("%", "%%"))


def comment(value: object) -> str:
    """Return text that ends no comment."""
    return printable(_raw(value))


def word(value: object, fallback: str = "") -> str:
    """Return the text if it is one plain word, else `fallback`."""
    raw = _raw(value)
    return raw if _WORD.fullmatch(raw) else fallback


def _json(value: object) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Text):
        return value.raw
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")
