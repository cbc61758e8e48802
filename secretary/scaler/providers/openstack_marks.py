"""How a group's machines are marked, so that they are found: tags, or metadata where tags are not.

Both are there from a machine's first moment. `version` is the microversion in which servers are
asked for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from secretary.core.scaling import ScaleGroup
from secretary.scaler.providers.openstack_answers import Answer, Server, Version

if TYPE_CHECKING:
    from secretary.scaler.providers.openstack_door import Asking

TAGS_SINCE: Final = (2, 52)
_ACCEPT: Final = (404, 409)
"""It is not there, or its state does not allow it."""
_TAGS_KEY: Final = "tags"
"""Of the metadata."""


class Marks(Protocol):
    version: Version

    def order(self) -> Mapping[str, Any]:
        """Return what is said when a machine is made."""

    def query(self) -> Mapping[str, str]:
        """Return what keeps others out of a list, as far as that can be asked for."""

    def are_on(self, server: Server) -> bool: ...

    def put_on(self, cloud: "Asking", path: str) -> Answer:
        """Mark the server at `path`. Accepts 404 and 409."""

    def take_off(self, cloud: "Asking", path: str) -> Answer:
        """Accepts 404 and 409."""


class Tags:
    version = TAGS_SINCE

    def __init__(self, group: ScaleGroup) -> None:
        self._tag = tag_of(group)
        self._others = group.machine.tags

    def order(self) -> Mapping[str, Any]:
        return {"tags": [self._tag, *(tag for tag in self._others if tag != self._tag)]}

    def query(self) -> Mapping[str, str]:
        return {"tags": self._tag}

    def are_on(self, server: Server) -> bool:
        return self._tag in server.tags

    def put_on(self, cloud: "Asking", path: str) -> Answer:
        return self._ask(cloud, "PUT", path)

    def take_off(self, cloud: "Asking", path: str) -> Answer:
        return self._ask(cloud, "DELETE", path)

    def _ask(self, cloud: "Asking", method: str, path: str) -> Answer:
        where = f"{path}/tags/{self._tag}"
        return cloud.ask(method, where, version=self.version, accept=_ACCEPT)


class Metadata:
    """A key for each group that a machine is in."""

    version: Version = (2, 1)

    def __init__(self, group: ScaleGroup) -> None:
        self._mark = {tag_of(group): group.name}
        self._tags = {_TAGS_KEY: ",".join(group.machine.tags)} if group.machine.tags else {}
        self._key = tag_of(group)

    def order(self) -> Mapping[str, Any]:
        return {"metadata": {**self._mark, **self._tags}}

    def query(self) -> Mapping[str, str]:
        return {}

    def are_on(self, server: Server) -> bool:
        return self._key in server.metadata

    def put_on(self, cloud: "Asking", path: str) -> Answer:
        where, body = f"{path}/metadata", {"metadata": self._mark}
        return cloud.ask("POST", where, json=body, version=self.version, accept=_ACCEPT)

    def take_off(self, cloud: "Asking", path: str) -> Answer:
        where = f"{path}/metadata/{self._key}"
        return cloud.ask("DELETE", where, version=self.version, accept=_ACCEPT)


def tag_of(group: ScaleGroup) -> str:
    return f"secretary-{group.name}"
