"""Instances and snapshots for the renderer's tests."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from secretary.core.instance import Instance, State
from secretary.core.settings import HostPort
from secretary.core.snapshot import Snapshot

SINCE = datetime(2026, 11, 21, tzinfo=UTC)


def instance(name: str = "web", ip: str = "10.0.0.1", port: int = 80, **more: Any) -> Instance:
    fields: dict[str, Any] = {
        "ipv6_addr" if ":" in ip else "ipv4_addr": ip,
        "host": "node-1",
        "id": "i1",
        "state": State.UP,
        "since": SINCE,
        "schema": 1,
    }
    return Instance(port=port, addr=str(HostPort(ip, port)), name=name, **(fields | more))


def keyed(records: Iterable[Instance]) -> dict[str, Instance]:
    """Each under the key that it would have."""
    return {f"/services/{record.name}/{record.addr}": record for record in records}


def snapshot(revision: int, *records: Instance, left: Iterable[str] = ()) -> Snapshot:
    return Snapshot(revision, keyed(records), {}, frozenset(left))
