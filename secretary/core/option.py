"""What an option is: its name, its kind of value, where it may stand and how it takes several."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from secretary.core.values import Kind


class Scope(enum.Enum):
    """Where an option may stand."""

    SERVICE = "service"
    """Of one service: a flag, a variable, a key of the file or of one of its [[service]]."""
    GROUP = "group"
    """Of templates that share one reload: a flag, a variable, a key of a [[group]] or of a
    [[template]] that stands alone."""
    TEMPLATE = "template"
    """Of one template: a flag, a variable, a key of a [[template]] or [[group.template]]."""
    PROCESS = "process"
    """Of the whole process: a flag, a variable or a key at the top of the file."""
    COMMAND = "command"
    """Of the command line: a flag or a variable."""


@dataclass(frozen=True, slots=True)
class Many:
    """How an option takes several values.

    `separator` divides a text that holds several; when `whole`, only the environment is divided
    so, and a flag or an entry of a file's array is one value. `joint` joins key and value of a
    TOML table. `collect` checks the values together, and may raise ValueError.
    """

    separator: str
    whole: bool = False
    joint: str = ""
    collect: Callable[[tuple[Any, ...]], Any] = lambda found: found


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `default` is a text like any other; None when there is none."""

    name: str
    kind: Kind
    help: str
    default: str | None = None
    _: KW_ONLY
    scope: Scope
    many: Many | None = None
    verbs: frozenset[str]
    own_defaults: Mapping[str, str] = field(default_factory=dict)
    """By verb, where it has another default."""

    @property
    def variable(self) -> str:
        return f"SECRETARY_{self.parameter.upper()}"

    @property
    def parameter(self) -> str:
        return self.name.replace("-", "_")
