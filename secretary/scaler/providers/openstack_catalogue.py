"""What the cloud has, by name or id: servers, flavors, images, networks. Changes nothing.

What is named twice is refused, for nobody could tell which one was meant.
"""

import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from secretary.core.errors import CloudAway, CloudRefused
from secretary.scaler.providers import openstack_answers as answers
from secretary.scaler.providers.openstack_answers import Version

if TYPE_CHECKING:
    from secretary.scaler.providers.openstack_door import Asking

Page = TypeVar("Page", answers.ServerPage, answers.FlavorPage)

_MOST_AT_ONCE: Final = 1000
"""Nova's own limit may be lower, and is the one that counts."""
_MOST_PAGES: Final = 1000
_TRIES: Final = 3


class _PageGone(Exception):
    """The machine after which the next page was to begin has been deleted meanwhile."""


def servers(cloud: "Asking", version: Version, query: Mapping[str, str]) -> list[answers.Server]:
    """Return all servers that there are, each once, but for those that are gone already."""
    for _ in range(_TRIES):
        try:
            pages = _pages(cloud, "/servers/detail", answers.ServerPage, version, query)
        except _PageGone:
            continue
        # Pages are not of one moment: one may repeat the end of another.
        found = {each.id: each for page in pages for each in page.items}
        return [each for each in found.values() if not each.is_gone]
    raise CloudAway(
        f"OpenStack at {cloud.at}: machines went while they were listed, {_TRIES} times"
    )


def server(cloud: "Asking", version: Version, id_: str) -> answers.Server | None:
    if not is_id(id_):
        return None
    answer = cloud.ask("GET", path_of(id_), version=version, accept=(404,))
    if answer.status == 404:
        return None
    found = answer.read(answers.OneServer).server
    return None if found.is_gone else found


def named(cloud: "Asking", version: Version, name: str) -> list[answers.Server]:
    """Return the servers of exactly this name."""
    found = servers(cloud, version, {"name": f"^{re.escape(name)}$"})
    return [each for each in found if each.name == name]


def flavor(cloud: "Asking", version: Version, wanted: str) -> str:
    """Return the id of the flavor of this name or id."""
    try:
        pages = _pages(cloud, "/flavors", answers.FlavorPage, version, {})
    except _PageGone as error:
        raise CloudAway(
            f"OpenStack at {cloud.at}: flavors changed while they were listed"
        ) from error
    found = [each for page in pages for each in page.items]
    ids = [each.id for each in found if each.id == wanted]
    return _one(ids or [each.id for each in found if each.name == wanted], "flavor", wanted, cloud)


def image(cloud: "Asking", wanted: str) -> str:
    """Return the id of the image or snapshot; what looks like an id is taken for one."""
    if is_id(wanted):
        return wanted
    params = {"name": wanted, "status": "active"}
    answer = cloud.ask("GET", "/v2/images", service="image", params=params)
    found = answer.read(answers.Images).images
    return _one([each.id for each in found if each.name == wanted], "image", wanted, cloud)


def network(cloud: "Asking", wanted: str) -> answers.Identified:
    """Return the network of this name or id."""
    path = f"/v2.0/networks/{wanted}" if is_id(wanted) else "/v2.0/networks"
    params = None if is_id(wanted) else {"name": wanted}
    answer = cloud.ask("GET", path, service="network", params=params, accept=(404,))
    if answer.status == 404:
        raise CloudRefused(f"OpenStack at {cloud.at} has no network {wanted}")
    if is_id(wanted):
        return answer.read(answers.OneNetwork).network
    found = {each.id: each for each in answer.read(answers.Networks).networks}
    ids = [each.id for each in found.values() if each.name == wanted]
    return found[_one(ids, "network", wanted, cloud)]


def is_id(text: str) -> bool:
    """Whether it is written as Nova, Glance and Neutron write ids."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def path_of(id_: str) -> str:
    return f"/servers/{id_}"


def _pages(
    cloud: "Asking", path: str, kind: type[Page], version: Version, query: Mapping[str, str]
) -> Sequence[Page]:
    pages: list[Page] = []
    while len(pages) < _MOST_PAGES:
        params = {**query, "limit": str(_MOST_AT_ONCE)}
        if pages:
            params["marker"] = pages[-1].items[-1].id
        accept: Collection[int] = (400, 404) if pages else ()
        answer = cloud.ask("GET", path, version=version, params=params, accept=accept)
        if answer.status in (400, 404):
            raise _PageGone
        pages.append(answer.read(kind))
        if not pages[-1].items or all(link.rel != "next" for link in pages[-1].links):
            return pages
    raise CloudAway(f"OpenStack at {cloud.at}: the pages of {path} do not end")


def _one(ids: Sequence[str], what: str, wanted: str, cloud: "Asking") -> str:
    if not ids:
        raise CloudRefused(f"OpenStack at {cloud.at} has no {what} named {wanted}")
    if len(ids) > 1:
        listed = ", ".join(sorted(ids)[:4])
        raise CloudRefused(
            f"OpenStack at {cloud.at} has {len(ids)} {what}s named {wanted}; give an id: {listed}"
        )
    return ids[0]
