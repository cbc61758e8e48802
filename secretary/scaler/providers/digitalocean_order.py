"""What is asked of DigitalOcean for a droplet, and what is wrong with a group before that. Pure."""

import re
import uuid
from collections.abc import Sequence
from typing import Any, Final

from secretary.core.errors import CloudRefused, SettingsError
from secretary.core.scaling import ScaleGroup
from secretary.scaler.providers.digitalocean_answers import PUBLIC, Named

TAG_PREFIX: Final = "secretary-"
_TAG: Final = re.compile(r"[A-Za-z0-9_:-]{1,255}")
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){15}")


def tag_of(group: ScaleGroup) -> str:
    """Return the tag by which the group's droplets are found.

    A tag has no dots, and a group's name no colons. Tags that differ in case only are one tag.
    """
    return TAG_PREFIX + group.name.lower().replace(".", ":")


def check(group: ScaleGroup) -> None:
    """SettingsError, where DigitalOcean would refuse each droplet of this group."""
    machine, where = group.machine, f"group {group.name}: "
    if not machine.image or not machine.size:
        raise SettingsError(f"{where}DigitalOcean needs an image and a size, such as s-1vcpu-1gb")
    if machine.size.startswith("gpu"):
        raise SettingsError(f"{where}size {machine.size}: droplets with GPU are not listed by tag")
    prefix = group.name_prefix or group.name
    if not _HOST_NAME.fullmatch(prefix):
        raise SettingsError(
            f"{where}name_prefix {prefix}: a droplet's name has letters, digits, - and ."
        )
    for tag in (*machine.tags, tag_of(group)):
        if not _TAG.fullmatch(tag):
            raise SettingsError(f"{where}tag {tag}: may have letters, digits, :, - and _")


def order(
    group: ScaleGroup, name: str, image: str | int, keys: Sequence[str | int], vpc: str | None
) -> dict[str, Any]:
    """Return the droplet to ask for, without the data that it is given at its start."""
    machine = group.machine
    wanted = {
        "name": name,
        "image": image,
        "size": machine.size,
        "ssh_keys": list(keys),
        "tags": [tag_of(group), *machine.tags],
        "monitoring": True,
    }
    return (
        wanted
        | ({"region": machine.region} if machine.region else {})
        | ({"vpc_uuid": vpc} if vpc is not None else {})
    )


def words(group: ScaleGroup) -> str:
    """Return what to look at when droplets of this group are refused."""
    machine = group.machine
    where = f"region {machine.region}" if machine.region else "any region"
    return f"group {group.name}: image {machine.image}, size {machine.size}, {where}"


def is_id(text: str) -> bool:
    """Whether it is the number of an image, key or droplet."""
    return re.fullmatch(r"[1-9][0-9]{0,17}", text) is not None


def is_fingerprint(text: str) -> bool:
    return _FINGERPRINT.fullmatch(text) is not None


def is_network_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def is_default_network(text: str) -> bool:
    """Whether the group leaves it to DigitalOcean, which takes the region's own."""
    return text in ("", PUBLIC)


def the_one(kind: str, name: str, found: Sequence[Named]) -> str | int | None:
    """Return the id of what has this very name; None when there is none. CloudRefused for two."""
    ids = [each.id for each in found if each.name == name]
    if len(ids) > 1:
        listed = ", ".join(map(str, ids[:5]))
        raise CloudRefused(f"DigitalOcean has several {kind} named {name}: give one's id: {listed}")
    return ids[0] if ids else None


def key_id(key: str, known: Sequence[Named]) -> str | int:
    """Return what the key is asked for by, be it given as id, fingerprint or name. CloudRefused."""
    if is_id(key) or is_fingerprint(key):
        return int(key) if is_id(key) else key
    found = the_one("SSH keys", key, known)
    if found is None:
        raise CloudRefused(f"DigitalOcean has no SSH key named {key}; no machine was made")
    return found
