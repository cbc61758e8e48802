"""What somebody gave for an option: texts that nobody has judged yet, and where they stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Given:
    """The texts of one option (none for an empty list) and where they stand.

    `where` is `--port`, `SECRETARY_PORT`, `port in FILE`, `service[1].port in FILE`,
    `container web-1: label secretary.port` or `default`.
    """

    texts: tuple[str, ...]
    where: str


Layer: TypeAlias = Mapping[str, Given]
"""What one source gives, by the option's name."""
