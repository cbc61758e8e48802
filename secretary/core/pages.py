"""What a program says of itself to those who watch it; `runtime/status.py` serves it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from secretary.core.metric import Family


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes or no, and why, in one line."""

    ok: bool
    text: str


class Pages(Protocol):
    """Asked from several threads; an answer may not wait."""

    def live(self) -> Verdict: ...

    def ready(self) -> Verdict: ...

    def status(self) -> object:
        """Return what JSON can hold, in the order in which it is to be read."""
        ...

    def metrics(self) -> Sequence[Family]: ...
