"""Lists of DigitalOcean's, and what a group names in them: image, SSH keys and network.

Ids, slugs and fingerprints are taken as they are. Names are looked up each time: a snapshot may
have been made anew under its name.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from secretary.core.errors import CloudAway, CloudRefused
from secretary.core.scaling import MachineSettings
from secretary.core.values import printable
from secretary.scaler.providers.digitalocean_answers import Named, page
from secretary.scaler.providers.digitalocean_order import (
    is_default_network,
    is_fingerprint,
    is_id,
    is_network_id,
    key_id,
    the_one,
)

if TYPE_CHECKING:
    from secretary.scaler.providers.digitalocean_door import Asking

_PER_PAGE: Final = 200
"""The most that is to be had; without being asked for it is 20."""

T = TypeVar("T")


def look_up(
    ask: "Asking", machine: MachineSettings
) -> tuple[str | int, list[str | int], str | None]:
    """Return the image's id or slug, the keys' ids or fingerprints, and the VPC's id. CloudError.

    None for the VPC is the region's own.
    """
    return _image(ask, machine.image), _keys(ask, machine.ssh_keys), _vpc(ask, machine.network)


def pages(ask: "Asking", items: str, of: type[T], listing: Callable[..., Any]) -> list[T]:
    """Return all items of a list, however many pages that takes."""
    found: list[T] = []
    number, has_more = 1, True
    while has_more:
        answer = ask(functools.partial(listing, page=number, per_page=_PER_PAGE))
        here, has_more = read(lambda each: page(each, items, of), answer)
        found += here
        number += 1
    return found


def read(reading: Callable[[Any], T], answer: Any) -> T:
    """Return what `reading` makes of the answer; CloudAway for what it cannot make out."""
    try:
        return reading(answer)
    except ValueError as error:
        told = printable(str(error))
        raise CloudAway(f"DigitalOcean answers in a way that cannot be read: {told}") from error


def _image(ask: "Asking", image: str) -> str | int:
    if is_id(image):
        return int(image)

    def listing(api: Any, **how: Any) -> Any:
        return api.images.list(private=True, **how)

    own = the_one("images", image, pages(ask, "images", Named, listing))
    return image if own is None else own  # the slug of a public one, or nothing


def _keys(ask: "Asking", keys: tuple[str, ...]) -> list[str | int]:
    def listing(api: Any, **how: Any) -> Any:
        return api.ssh_keys.list(**how)

    is_named = not all(is_id(key) or is_fingerprint(key) for key in keys)
    known = pages(ask, "ssh_keys", Named, listing) if is_named else []
    return [key_id(key, known) for key in keys]


def _vpc(ask: "Asking", network: str) -> str | None:
    if is_default_network(network):
        return None
    if is_network_id(network):
        return network

    def listing(api: Any, **how: Any) -> Any:
        return api.vpcs.list(**how)

    found = the_one("VPCs", network, pages(ask, "vpcs", Named, listing))
    if found is None:
        raise CloudRefused(f"DigitalOcean has no VPC named {network}; no machine was made")
    return str(found)
