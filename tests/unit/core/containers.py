"""Containers for the tests of what decides about them."""

from collections.abc import Mapping
from typing import Any

from secretary.core.container import Container, Published

NETWORK = {"bridge": "172.17.0.2"}


def container(labels: Mapping[str, str] | None = None, **other: Any) -> Container:
    """Return one called web-1 with port 8080 in a single network, unless told otherwise."""
    known = {
        "id": "a1" * 32,
        "name": "web-1",
        "image": "example/shop:1.2",
        "started_at": "2026-11-21T02:00:00.5Z",
        "networks": NETWORK,
        "exposed": (8080,),
    }
    return Container(**{**known, "labels": labels or {}, **other})


def published(port: int, host_port: int, host_ip: str = "0.0.0.0") -> Published:
    return Published(port, host_ip, host_port)
