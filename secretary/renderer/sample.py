"""A view to try templates with: services of every kind that there can be."""

from datetime import UTC, datetime
from typing import Final

from secretary.core.instance import Instance, State
from secretary.core.record import SCHEMA
from secretary.renderer.services import Roster, View

_SINCE: Final = datetime(2026, 1, 1, tzinfo=UTC)


def view(names: tuple[str, ...] = ()) -> View:
    """Return a view with `names`, or else two services and one without instances."""
    roster = Roster([*names, "sample-empty"])
    instances = {}
    for name in names or ("sample", "sample.two"):
        for record in _instances(name):
            instances[f"/services/{name}/{record.addr}"] = record
    return roster.view(1, 1, instances, stale=(), draining=frozenset({("sample", "192.0.2.3")}))


def _instances(name: str) -> list[Instance]:
    places = [
        ({"ipv4_addr": "192.0.2.1"}, 100, State.UP),
        ({"ipv4_addr": "192.0.2.2"}, 60000, State.UP),
        ({"ipv4_addr": "192.0.2.3"}, 1, State.UP),
        ({"ipv4_addr": "192.0.2.4"}, 0, State.UP),
        ({"ipv4_addr": "192.0.2.5"}, 100, State.DRAINING),
        ({"ipv6_addr": "2001:db8::1"}, 100, State.UP),
    ]
    return [
        Instance(
            host=f"node-{number}",
            **address,
            port=8080,
            addr="[2001:db8::1]:8080" if "ipv6_addr" in address else f"{address['ipv4_addr']}:8080",
            name=name,
            id=f"id-{number}",
            weight=weight,
            tags=("blue",),
            meta={"zone": 'a "b" $c; # {}'},
            state=state,
            since=_SINCE,
            schema=SCHEMA,
        )
        for number, (address, weight, state) in enumerate(places, start=1)
    ]
