"""As much of Go's text/template, with confd's functions, as the templates in deploy/confd use.

For machines without Go and confd. It refuses what it does not know, so that a template cannot come
to use more unnoticed. Its answers were compared with those of Go 1.19's own text/template.
"""

import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus

_ACTION: Final = re.compile(
    r"(?P<left>\s*\{\{- |\{\{)(?P<code>/\*.*?\*/|(?:\"[^\"]*\"|.)*?)(?P<right> -\}\}\s*|\}\})",
    re.DOTALL,
)
_TOKEN: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|:=|[()]|[^\s()"]+)')


class GoTemplateError(Exception):
    """The template is wrong, or cannot be rendered with these records."""


@dataclass(frozen=True, slots=True)
class Pair:
    Key: str
    Value: str


@dataclass(slots=True)
class _Block:
    """What stands between two actions: texts, and actions with blocks of their own."""

    opening: str = ""
    parts: list["str | _Block"] = field(default_factory=list)
    otherwise: list["str | _Block"] | None = None

    def add(self, part: "str | _Block") -> None:
        (self.parts if self.otherwise is None else self.otherwise).append(part)


def render(source: str, records: Mapping[str, str]) -> str:
    """Return what confd makes of `records`, values by key. GoTemplateError where it would fail."""
    return _Rendering(records).run(source)


class _Rendering:
    def __init__(self, records: Mapping[str, str]) -> None:
        self._records = records
        self._templates: dict[str, _Block] = {}
        self._functions: Mapping[str, Callable[..., Any]] = {
            # confd's
            "ls": self._ls,
            "gets": self._gets,
            "json": _json,
            "replace": lambda text, old, new, _: text.replace(old, new),
            "toLower": str.lower,
            # Go's own
            "urlquery": lambda value: quote_plus(_said(value), safe=""),
            "printf": lambda form, *values: form % values,
            "eq": lambda one, *others: any(_same(one, other) for other in others),
            "gt": _greater,
        }

    def run(self, source: str) -> str:
        return self._block(self._parse(source).parts, {".": None})

    def _parse(self, source: str) -> _Block:
        open_blocks = [_Block()]
        at, trim = 0, False
        for match in _ACTION.finditer(source):
            text = source[at : match.start()]
            open_blocks[-1].add(text.lstrip() if trim else text)
            at, trim = match.end(), False
            code = match["code"].strip()
            keyword = code.partition(" ")[0]
            if code.startswith("/*"):
                continue
            if keyword in ("if", "range", "define"):
                block = _Block(code)
                if keyword != "define":
                    open_blocks[-1].add(block)
                open_blocks.append(block)
            elif keyword == "else":
                open_blocks[-1].otherwise = []
            elif keyword == "end":
                block = open_blocks.pop()
                if block.opening.startswith("define "):
                    self._templates[json.loads(block.opening.removeprefix("define "))] = block
            else:
                open_blocks[-1].add(_Block(code))
        if len(open_blocks) != 1 or "{{" in source[at:]:
            raise GoTemplateError("an action is not closed")
        open_blocks[0].add(source[at:])
        return open_blocks[0]

    def _block(self, parts: Sequence["str | _Block"], names: dict[str, Any]) -> str:
        return "".join(
            part if isinstance(part, str) else self._action(part, names) for part in parts
        )

    def _action(self, block: _Block, names: dict[str, Any]) -> str:
        keyword, *rest = tokens = _TOKEN.findall(block.opening)
        if keyword == "if":
            chosen = block.parts if self._value(rest, names) else block.otherwise or []
            return self._block(chosen, dict(names))
        if keyword == "range":
            if not (rest[0].startswith("$") and rest[1] == ":="):
                raise GoTemplateError(f"range without a variable: {block.opening}")
            items = self._value(rest[2:], names)
            return "".join(self._block(block.parts, {**names, rest[0]: item}) for item in items)
        if keyword == "template":
            called = self._templates[json.loads(rest[0])]
            return self._block(called.parts, {".": self._value(rest[1:], names)})
        if keyword.startswith("$") and rest[:1] == [":="]:
            names[keyword] = self._value(rest[1:], names)
            return ""
        return _said(self._value(tokens, names))

    def _value(self, tokens: Sequence[str], names: Mapping[str, Any]) -> Any:
        """Return what a command comes to: one operand, or a function and its arguments."""
        operands = self._operands(list(tokens), names)
        if callable(operands[0]):
            return operands[0](*operands[1:])
        if len(operands) != 1:
            raise GoTemplateError(f"not a function: {' '.join(tokens)}")
        return operands[0]

    def _operands(self, tokens: list[str], names: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = []
        while tokens:
            token = tokens.pop(0)
            if token == "(":
                depth, inner = 1, []
                while depth:
                    inner.append(tokens.pop(0))
                    depth += {"(": 1, ")": -1}.get(inner[-1], 0)
                found.append(self._value(inner[:-1], names))
            elif token.startswith('"'):
                found.append(json.loads(token))
            elif re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", token):
                found.append(float(token) if "." in token else int(token))
            elif token.startswith("$") or token == ".":
                name, *path = [token] if token == "." else token.split(".")
                found.append(_field(names[name], path))
            elif token in self._functions and not found:
                found.append(self._functions[token])
            else:
                raise GoTemplateError(f"function {token!r} not defined")
        return found

    # confd's functions

    def _ls(self, directory: str) -> list[str]:
        start = f"{directory}/"
        below = (key.removeprefix(start) for key in self._records if key.startswith(start))
        return sorted({key.partition("/")[0] for key in below})

    def _gets(self, pattern: str) -> list[Pair]:
        directory, _, star = pattern.rpartition("/")
        if star != "*" or set(directory) & set("*?[\\"):
            raise GoTemplateError(f"syntax error in pattern {pattern!r}")
        keys = (key for key in sorted(self._records) if posixpath.dirname(key) == directory)
        return [Pair(key, self._records[key]) for key in keys]


def _json(text: str) -> dict[str, Any]:
    """Numbers are floats, as Go's are."""
    try:
        value = json.loads(text, parse_int=float)
    except ValueError as error:
        raise GoTemplateError(f"error calling json: {error}") from error
    if not isinstance(value, dict):
        raise GoTemplateError("error calling json: not an object")
    return value


def _field(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name)
    return value


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        raise GoTemplateError("error calling eq: incompatible types for comparison")
    return bool(one == other)


def _greater(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        raise GoTemplateError("error calling gt: incompatible types for comparison")
    return bool(one > other)


def _said(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if value is None:
        return "<no value>"
    return str(value)
