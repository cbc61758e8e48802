"""What is asked of Docker by those who follow its containers."""

from typing import Protocol

from secretary.agent.discovery.event_reader import Stream
from secretary.agent.discovery.inspected import Inspected


class Door(Protocol):
    """What is asked of Docker; see `docker.py`."""

    @property
    def at(self) -> str: ...

    def containers(self) -> list[str]: ...

    def inspect(self, ref: str) -> Inspected | None: ...

    def events(self) -> Stream: ...

    def ping(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...
