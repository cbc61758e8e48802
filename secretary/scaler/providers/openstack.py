"""OpenStack as a provider: a machine is a server of Nova's, found by its group's tag.

Makes one server a call and never asks for it twice. Names are unique here although Nova would take
one twice. In a cloud whose servers have no tags from their first moment (before Nova's microversion
2.52, of 2017) a key of the metadata stands for the tag, and all servers of the project are listed
to find it. Touches servers only: no port, volume, security group or floating IP is made or removed.

A group's region is `REGION`, `REGION/ZONE` or `/ZONE`, the zone being the availability zone.
"""

import base64
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from secretary.core.errors import CloudBusy, CloudError, CloudRefused, SettingsError
from secretary.core.scaling import ScaleGroup
from secretary.scaler.ports import Provider, Seen, Standing
from secretary.scaler.providers import openstack_answers as answers
from secretary.scaler.providers import openstack_catalogue as catalogue
from secretary.scaler.providers.openstack_answers import Version
from secretary.scaler.providers.openstack_cpu import Loads
from secretary.scaler.providers.openstack_diagnosis import SINCE, diagnosed
from secretary.scaler.providers.openstack_marks import TAGS_SINCE, Marks, Metadata, Tags, tag_of
from secretary.scaler.providers.user_data import user_data

if TYPE_CHECKING:
    from secretary.scaler.providers.openstack_door import Asking, Door

_log = logging.getLogger(__name__)

_NETWORKS_SINCE: Final = (2, 37)
"""From here on a new server's networks have to be said."""
_BUILDING_S: Final = 5.0
_LONGEST_TAG: Final = 60
_NOT_IN_TAGS: Final = ",/"
_MOST_USER_DATA: Final = 65535 // 4 * 3
"""Bytes, before they are encoded."""


def open_openstack(group: ScaleGroup, environ: Mapping[str, str]) -> Provider:
    """Return the provider of this group. Asks nothing yet.

    SettingsError for a group that will not do, or variables that lead nowhere; CloudRefused
    without openstacksdk.
    """
    _check(group)
    try:
        from secretary.scaler.providers.openstack_door import Door
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("keystoneauth1", "openstack"):
            raise
        raise CloudRefused(
            "OpenStack needs the extra [cloud]: pip install 'secretary[cloud]'"
        ) from error
    from secretary.scaler.providers.openstack_login import Login

    return OpenStack(group, Door(Login(environ, _region(group)[0])))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an operation may take, by how many questions it is."""

    one_s: float = 10.0
    several_s: float = 30.0
    """All pages together."""
    create_s: float = 30.0
    """For the question that makes a server; what it needs to know is asked before."""


class OpenStack:
    """The servers of one group."""

    def __init__(
        self,
        group: ScaleGroup,
        door: "Door",
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        self._machine = group.machine
        self._door = door
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: Version | None = None
        self._network: answers.Identified | None = None
        self._loads = Loads()
        self._is_denial_told = False

    def create(self, name: str) -> Seen:
        """Ask for one. What the group names is looked up first, which changes nothing."""
        marks = self._marks()
        cloud = self._door.within(self._patience.several_s)
        body = {"server": self._order(cloud, name, marks)}
        if taken := catalogue.named(cloud, marks.version, name):
            raise CloudRefused(
                f"OpenStack at {cloud.at} has a server named {name} already ({taken[0].id});"
                " none was made"
            )
        cloud = self._door.within(self._patience.create_s)
        try:
            answer = cloud.ask("POST", "/servers", version=marks.version, json=body)
        except CloudRefused as error:
            # Nova's own words do not always say which image or flavor it does not know.
            machine = self._machine
            raise CloudRefused(f"{error} (image {machine.image}, size {machine.size})") from error
        id_ = answer.read(answers.Made).server.id
        with contextlib.suppress(CloudError):  # it is made, whatever becomes of this question
            if (seen := self.find(id_)) is not None:
                return seen
        return Seen(
            provider_id=id_,
            name=name,
            standing=Standing.BOOTING,
            address=None,
            created=datetime.now(UTC),
            cost_class=self._machine.size,
        )

    def machines(self) -> Sequence[Seen]:
        marks = self._marks()
        cloud = self._door.within(self._patience.several_s)
        found = catalogue.servers(cloud, marks.version, marks.query())
        return [self._seen(cloud, each) for each in found if marks.are_on(each)]

    def delete(self, provider_id: str) -> bool:
        if not catalogue.is_id(provider_id):
            return False
        cloud = self._door.within(self._patience.one_s)
        path = catalogue.path_of(provider_id)
        return cloud.ask("DELETE", path, accept=(404,)).status != 404

    def find(self, id_or_name: str) -> Seen | None:
        version = self._marks().version
        cloud = self._door.within(self._patience.several_s)
        if (found := catalogue.server(cloud, version, id_or_name)) is not None:
            return self._seen(cloud, found)
        named = catalogue.named(cloud, version, id_or_name)
        if len(named) > 1:
            ids = ", ".join(sorted(each.id for each in named))
            raise CloudRefused(
                f"OpenStack at {cloud.at} has {len(named)} servers named {id_or_name};"
                f" give an id: {ids}"
            )
        return self._seen(cloud, named[0]) if named else None

    def tag(self, provider_id: str) -> None:
        """CloudBusy while it is built, for then Nova takes none."""
        marks, status = self._marks(), 404
        cloud = self._door.within(self._patience.several_s)
        if catalogue.is_id(provider_id):
            status = marks.put_on(cloud, catalogue.path_of(provider_id)).status
        if status == 404:
            raise CloudRefused(f"OpenStack at {cloud.at} has no server {provider_id}")
        if status == 409:
            _agree(cloud, marks, provider_id, is_marked=True)

    def untag(self, provider_id: str) -> None:
        """CloudBusy while it is built."""
        if not catalogue.is_id(provider_id):
            return
        marks = self._marks()
        cloud = self._door.within(self._patience.several_s)
        if marks.take_off(cloud, catalogue.path_of(provider_id)).status == 409:
            _agree(cloud, marks, provider_id, is_marked=False)

    def cpu(self, provider_ids: Sequence[str]) -> Mapping[str, float]:
        if not provider_ids or self._speaks() < SINCE:
            return {}
        told = diagnosed(self._door.within(self._patience.one_s), provider_ids)
        if told.is_denied and not self._is_denial_told:
            self._is_denial_told = True
            _log.warning(
                "group %s: Nova's policy keeps diagnostics from this user, so nothing is known of"
                " the machines' CPU; have os_compute_api:os-server-diagnostics allowed, or take"
                " another metric",
                self._group.name,
            )
        with self._lock:
            self._loads.forget_all_but(provider_ids)
            now_s = self._clock()
            found = {
                id_: self._loads.percent(id_, cores, now_s) for id_, cores in told.cores.items()
            }
        return {id_: percent for id_, percent in found.items() if percent is not None}

    def close(self) -> None:
        self._door.close()

    def _speaks(self) -> Version:
        """Return Nova's newest microversion, asked for once."""
        if self._newest is None:
            self._newest = self._door.newest()
        return self._newest

    def _marks(self) -> Marks:
        return Tags(self._group) if self._speaks() >= TAGS_SINCE else Metadata(self._group)

    def _order(self, cloud: "Asking", name: str, marks: Marks) -> dict[str, Any]:
        """Return what Nova is told of the machine."""
        machine, version = self._machine, marks.version
        order: dict[str, Any] = {"name": name, **marks.order()}
        if (given := user_data(self._group, name, at_most=_MOST_USER_DATA)) is not None:
            order["user_data"] = base64.b64encode(given.encode()).decode()
        if machine.ssh_keys:
            order["key_name"] = machine.ssh_keys[0]
        if zone := _region(self._group)[1]:
            order["availability_zone"] = zone
        if (network := self._on_network(cloud)) is not None:
            order["networks"] = [{"uuid": network.id}]
        elif version >= _NETWORKS_SINCE:
            order["networks"] = "auto"
        order["flavorRef"] = catalogue.flavor(cloud, version, machine.size)
        order["imageRef"] = catalogue.image(cloud, machine.image)
        return order

    def _on_network(self, cloud: "Asking") -> answers.Identified | None:
        """Return the group's network, asked for once; None where it names none."""
        if self._network is None and self._machine.network:
            self._network = catalogue.network(cloud, self._machine.network)
        return self._network

    def _seen(self, cloud: "Asking", server: answers.Server) -> Seen:
        # The addresses of a server stand below the names of networks.
        name = self._machine.network
        if catalogue.is_id(name) and (network := self._on_network(cloud)) is not None:
            name = network.name
        return server.seen(name)


def _agree(cloud: "Asking", marks: Marks, id_: str, *, is_marked: bool) -> None:
    """Say why a server in its state cannot be marked as wanted, unless it is."""
    server = catalogue.server(cloud, marks.version, id_)
    if server is not None and marks.are_on(server) is is_marked:
        return
    status = "gone" if server is None else server.status
    message = f"OpenStack at {cloud.at}: tags of {id_}: cannot be changed while it is"
    if status == "BUILD":
        raise CloudBusy(f"{message} built; again in {_BUILDING_S:.0f} s", _BUILDING_S)
    raise CloudRefused(f"{message} {status}")


def _check(group: ScaleGroup) -> None:
    """Find what OpenStack would refuse, before it is asked. SettingsError."""
    machine, where = group.machine, f"group {group.name}"
    if not machine.size:
        raise SettingsError(f"{where}: size: is missing; OpenStack wants a flavor")
    if len(machine.ssh_keys) > 1:
        raise SettingsError(
            f"{where}: ssh_keys: OpenStack takes one key pair; put further keys into user_data"
        )
    for tag in (tag_of(group), *machine.tags):
        if len(tag) > _LONGEST_TAG or not tag or any(each in tag for each in _NOT_IN_TAGS):
            raise SettingsError(
                f"{where}: tags: {tag}: OpenStack takes 1 to {_LONGEST_TAG} characters,"
                " without comma and slash (the group's own is secretary-NAME)"
            )


def _region(group: ScaleGroup) -> tuple[str, str]:
    """Return region and availability zone."""
    region, _, zone = group.machine.region.partition("/")
    return region, zone
