"""What the verbs are given by the world: the environment, the time, and the agent on demand.

The agent is imported only when a verb asks for it, so that help and refusals are quick.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from secretary.core.settings import EtcdSettings, HostPort, RunSettings

if TYPE_CHECKING:
    from secretary.agent.check import Finding
    from secretary.agent.ports import Directory


class Agent(Protocol):
    """What the verbs ask of `agent/app.py` and `agent/inquiry.py`."""

    def run(self, settings: RunSettings, reload: Callable[[], RunSettings], /) -> int: ...

    def check(self, settings: RunSettings, /) -> "Iterator[Finding]": ...

    def directory(
        self, settings: EtcdSettings, prefix: str, /
    ) -> "AbstractContextManager[Directory]": ...

    def ask_status(self, at: HostPort, page: str, /) -> tuple[bool, str]: ...


class Installed:
    """The agent itself, each part of it imported when it is asked for."""

    def run(self, settings: RunSettings, reload: Callable[[], RunSettings], /) -> int:
        from secretary.agent import app

        return app.run(settings, reload)

    def check(self, settings: RunSettings, /) -> "Iterator[Finding]":
        from secretary.agent import app

        return app.check(settings)

    def directory(
        self, settings: EtcdSettings, prefix: str, /
    ) -> "AbstractContextManager[Directory]":
        from secretary.agent import inquiry

        return inquiry.directory(settings, prefix)

    def ask_status(self, at: HostPort, page: str, /) -> tuple[bool, str]:
        from secretary.agent import inquiry

        return inquiry.ask_status(at, page)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Surroundings:
    environ: Mapping[str, str]
    agent: Agent = Installed()  # noqa: RUF009 - it has no state
    now: Callable[[], datetime] = now
