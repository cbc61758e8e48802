"""Records to show."""

from datetime import UTC, datetime

from secretary.core.instance import Instance, State
from secretary.core.snapshot import Snapshot

SINCE = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def record(
    name: str = "web",
    ip: str = "10.0.0.5",
    *,
    weight: int = 100,
    tags: tuple[str, ...] = (),
    meta: dict[str, str] | None = None,
    state: State = State.UP,
) -> Instance:
    return Instance(
        host="node-1",
        ipv4_addr=ip,
        port=8080,
        addr=f"{ip}:8080",
        name=name,
        id="0f3c",
        weight=weight,
        tags=tags,
        meta=meta or {},
        state=state,
        since=SINCE,
        schema=1,
    )


def directory(*records: Instance, rejected: dict[str, str] | None = None) -> Snapshot:
    return Snapshot(7, {f"/services/{r.name}/{r.ip}": r for r in records}, rejected or {})
