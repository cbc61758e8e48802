"""The group's tag on containers, whose labels cannot be changed.

Where the tag is to be other than the label says, there is an empty volume of the name
`secretary-<group>-<id>`: while it is there, a labelled container does not belong to the group,
and one without the label does. Removing it (`docker volume prune`) lets the labels speak again.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from secretary.scaler.providers.docker_calls import DockerCalls

SHORT: Final = 12
"""Digits of an id that tell a container apart, as the docker command shows it."""


class DockerTags:
    """Those of one group. `tag` is the label as well, and the beginning of the volumes' names."""

    def __init__(self, tag: str, calls: DockerCalls) -> None:
        self._tag = tag
        self._calls = calls

    def exceptions(self) -> frozenset[str]:
        """Return the ids of the containers of which the label does not tell the truth."""
        query = {"filters": {"label": [self._tag]}}
        told = self._calls.decode(self._calls.ask("GET", "/volumes", query=query), _Volumes)
        ids = (each.labels.get(self._tag) for each in told.volumes or ())
        return frozenset(id_ for id_ in ids if id_)

    def set(self, id_: str, labels: Mapping[str, str], is_tagged: bool) -> None:
        """Make a container with these labels tagged or not."""
        if (self._tag in labels) == is_tagged:
            self.forget(id_)
            return
        volume = {"Name": self._name(id_), "Labels": {self._tag: id_}}
        self._calls.ask("POST", "/volumes/create", body=volume, accept=(201,))

    def forget(self, id_: str) -> None:
        """Let the label tell the truth."""
        self._calls.ask("DELETE", f"/volumes/{self._name(id_)}", accept=(204, 404))

    def _name(self, id_: str) -> str:
        return f"{self._tag}-{id_[:SHORT]}"


class _Volume(msgspec.Struct, rename="pascal"):
    labels: dict[str, str]


class _Volumes(msgspec.Struct, rename="pascal"):
    volumes: list[_Volume] | None = None
