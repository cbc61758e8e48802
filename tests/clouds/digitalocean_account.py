"""What one account has at DigitalOcean, in memory: droplets, what they need, reserved addresses."""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tests.clouds.digitalocean_reserved import Reserved

REGIONS: Final = ("ams3", "nyc3")
SIZES: Final = {"s-1vcpu-1gb": 1, "s-2vcpu-2gb": 2}
PUBLIC_IMAGE: Final = "debian-12-x64"
DEFAULT_VPC: Final = "760e09ef-dc84-11e8-981e-3cfdfeaae000"


@dataclass(slots=True)
class Droplet:
    """One droplet; `tags` are with the moment from which lists show them."""

    id: int
    name: str
    size: str
    region: str
    image: dict[str, Any]
    vpc_uuid: str
    asked: Mapping[str, Any]
    created: datetime
    boots_at: float
    tags: dict[str, float] = field(default_factory=dict)
    is_off: bool = False
    busy: float | None = 0.05
    """Share of the cores that work; None where the agent inside tells nothing."""


class Account:
    """Its parts may be read and changed by a test while requests come."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.boot_s = 0.0
        self.tag_lag_s = 0.0
        """How much later than in the droplet itself a tag shows in lists by tag."""
        self.droplet_limit = 1000
        self.tokens = {"dop_v1_right"}
        self._ids = itertools.count(3164444)
        self.droplets: dict[int, Droplet] = {}
        self.tags: set[str] = set()
        self.images = {100: image(100, "Debian 12", PUBLIC_IMAGE)}
        self.keys = {289794: "ops"}
        self.vpcs = {DEFAULT_VPC: "default-ams3"}
        self.reserved = Reserved(self.clock, self._ids)

    def reset(self) -> None:
        """Let it be as it was at the beginning."""
        with self.lock:
            self.__init__(self.clock)  # type: ignore[misc]

    def image(self, name: str) -> int:
        """Have a snapshot of this name."""
        id_ = next(self._ids)
        self.images[id_] = image(id_, name, None)
        return id_

    def key(self, name: str) -> int:
        id_ = next(self._ids)
        self.keys[id_] = name
        return id_

    def vpc(self, name: str) -> str:
        id_ = str(uuid.uuid4())
        self.vpcs[id_] = name
        return id_

    def make(self, asked: Mapping[str, Any], image: dict[str, Any]) -> Droplet:
        """Have the droplet that is asked for, which must be right."""
        with self.lock:
            made = Droplet(
                id=next(self._ids),
                name=asked["name"],
                size=asked["size"],
                region=asked.get("region", REGIONS[0]),
                image=image,
                vpc_uuid=asked.get("vpc_uuid", DEFAULT_VPC),
                asked=asked,
                created=datetime.now(UTC).replace(microsecond=0),
                boots_at=self.clock() + self.boot_s,
            )
            self.droplets[made.id] = made
            for tag in asked.get("tags") or ():
                self.tags.add(tag)
                self.put_tag(made, tag)
            return made

    def put_tag(self, droplet: Droplet, tag: str) -> None:
        droplet.tags.setdefault(tag, self.clock() + self.tag_lag_s)

    def made(self, name: str, *tags: str) -> Droplet:
        """Have a droplet without asking the API."""
        asked = {"name": name, "size": next(iter(SIZES)), "tags": tags}
        return self.make(asked, self.images[100])

    def named(self, name: str) -> list[Droplet]:
        with self.lock:
            return [each for each in self.droplets.values() if each.name == name]

    def tagged(self, tag: str) -> list[Droplet]:
        """Return those that lists show under this tag by now."""
        now = self.clock()
        return [each for each in self.droplets.values() if each.tags.get(tag, now + 1) <= now]

    def view(self, droplet: Droplet) -> dict[str, Any]:
        """Return it as the API tells of it."""
        is_up = self.clock() >= droplet.boots_at
        cores = SIZES[droplet.size]
        features = ["monitoring"] if droplet.asked.get("monitoring") else []
        return {
            "id": droplet.id,
            "name": droplet.name,
            "memory": 1024 * cores,
            "vcpus": cores,
            "disk": 25 * cores,
            "locked": False,
            "status": "off" if droplet.is_off else "active" if is_up else "new",
            "kernel": None,
            "created_at": _written(droplet.created),
            "features": ["droplet_agent", "private_networking", *features],
            "backup_ids": [],
            "next_backup_window": None,
            "snapshot_ids": [],
            "image": droplet.image,
            "volume_ids": [],
            "size": size(droplet.size),
            "size_slug": droplet.size,
            "networks": {"v4": _addresses(droplet.id) if is_up else [], "v6": []},
            "region": region(droplet.region),
            "tags": list(droplet.tags),
            "vpc_uuid": droplet.vpc_uuid,
        }


def image(id_: int, name: str, slug: str | None) -> dict[str, Any]:
    return {
        "id": id_,
        "name": name,
        "distribution": "Debian",
        "slug": slug,
        "public": slug is not None,
        "regions": list(REGIONS),
        "created_at": "2026-05-15T05:47:50Z",
        "type": "base" if slug else "snapshot",
        "min_disk_size": 10,
        "size_gigabytes": 2.36,
        "description": "",
        "tags": [],
        "status": "available",
        "error_message": "",
    }


def size(slug: str) -> dict[str, Any]:
    cores = SIZES[slug]
    return {
        "slug": slug,
        "memory": 1024 * cores,
        "vcpus": cores,
        "disk": 25 * cores,
        "transfer": 1.0,
        "price_monthly": 6.0 * cores,
        "price_hourly": 0.00893 * cores,
        "regions": list(REGIONS),
        "available": True,
        "description": "Basic",
    }


def region(slug: str) -> dict[str, Any]:
    return {
        "name": slug.upper(),
        "slug": slug,
        "features": ["metadata"],
        "available": True,
        "sizes": list(SIZES),
    }


def _addresses(id_: int) -> list[dict[str, Any]]:
    """Return a public and a private one, in the order of the real API."""
    third, fourth = divmod(id_ % 60000, 250)
    return [
        {
            "ip_address": f"198.18.{third}.{fourth + 2}",
            "netmask": "255.255.0.0",
            "gateway": "198.18.0.1",
            "type": "public",
        },
        {
            "ip_address": f"10.110.{third}.{fourth + 2}",
            "netmask": "255.255.0.0",
            "gateway": "10.110.0.1",
            "type": "private",
        },
    ]


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
