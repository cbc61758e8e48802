"""What the renderer says of itself, read off its loop and groups when somebody asks."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import secretary
from secretary.core.metric import Family, Kind, Sample
from secretary.core.pages import Verdict
from secretary.renderer.group import Group
from secretary.renderer.herald import Herald
from secretary.renderer.loop import Loop

MOST_REJECTED: Final = 100
MOST_OF_A_KEY: Final = 300
"""What is shown of the bad records: anybody may write keys."""
LONGEST_TURN_S: Final = 60.0
"""A loop that has not turned for so long hangs, deadlines of commands apart."""


class RendererPages:
    """The pages of the status server; each answer is made on the spot and waits for nothing.

    `deadline_s` is the longest time that a group's commands may take together.
    """

    def __init__(
        self, id_: str, loop: Loop, groups: Sequence[Group], herald: Herald, deadline_s: float
    ) -> None:
        self._id = id_
        self._loop = loop
        self._groups = groups
        self._herald = herald
        self._deadline_s = deadline_s

    def live(self) -> Verdict:
        """Whether every loop turns."""
        now_s = time.monotonic()
        hanging = [
            group.name
            for group in self._groups
            if now_s - group.beat_s > LONGEST_TURN_S + self._deadline_s
        ]
        hanging += [group.name for group in self._groups if not group.is_alive]
        if now_s - self._loop.beat_s > LONGEST_TURN_S or not self._loop.is_alive:
            hanging.append("loop")
        if not self._herald.is_alive:
            hanging.append("herald")
        if hanging:
            return Verdict(False, f"not turning: {', '.join(hanging)}")
        return Verdict(True, "every loop turns")

    def ready(self) -> Verdict:
        """Whether every proxy works by what is known; etcd away is no fault of theirs."""
        for group in self._groups:
            if group.trouble is not None:
                return Verdict(False, group.trouble)
            if group.applied is None:
                return Verdict(False, f"{group.name}: nothing applied yet")
            if group.publisher.quarantined:
                names = ", ".join(sorted(group.publisher.quarantined))
                return Verdict(False, f"{group.name}: quarantined: {names}")
        return Verdict(True, f"applied; {self._loop.away}" if self._loop.away else "applied")

    def line(self) -> str:
        """Return the whole in a few words, for `systemctl status`."""
        verdict = self.ready()
        if not verdict.ok:
            return verdict.text
        view = self._loop.view
        count = sum(len(service) for service in view.services.values()) if view else 0
        said = f"{count} instances at revision {view.revision if view else 0}"
        return f"{said}; {self._loop.away}" if self._loop.away else said

    def status(self) -> object:
        loop, view = self._loop, self._loop.view
        return {
            "version": secretary.__version__,
            "id": self._id,
            "etcd": loop.away or "ok",
            "heard_at": _time(loop.heard_at),
            "seen": loop.snapshot.revision,
            "applied": applied(self._groups, loop),
            **self._followed(),
            "groups": [_group(group) for group in self._groups],
            "services": {
                name: {
                    "instances": len(service),
                    "active": len(service.active),
                    "stale": [server.addr for server in service if server.stale],
                }
                for name, service in (view.services.items() if view else ())
            },
            "held": {
                key: "below the floor" if held.floor else "too many went at once"
                for key, held in loop.guard.held.items()
            },
            "rejected": {
                key[:MOST_OF_A_KEY]: reason
                for key, reason in islice(loop.snapshot.rejected.items(), MOST_REJECTED)
            },
            "last_error": self._herald.trouble,
        }

    def _followed(self) -> dict[str, object]:
        """Return how far each part of the directory is followed; `secretary ha fresh` asks."""
        # What is applied comes first, so that it is never newer than what it is compared with.
        records, drains = (
            applied(self._groups, self._loop),
            drains_applied(self._groups, self._loop),
        )
        snapshot, drained = self._loop.snapshot, self._loop.drains
        return {
            "records": {
                "seen": snapshot.revision,
                "applied": records,
                "keys": len(snapshot.instances) + len(snapshot.rejected),
            },
            "drains": {
                "seen": drained.revision,
                "applied": drains,
                "keys": len(drained.endpoints) + len(drained.rejected),
            },
        }

    def metrics(self) -> Sequence[Family]:
        loop, view = self._loop, self._loop.view
        services = view.services if view else {}
        one: Any = ()

        def of_groups(name: str, kind: Kind, help_: str, value: Any) -> Family:
            samples = [Sample((("group", g.name),), value(g)) for g in self._groups]
            return Family(f"secretary_render_{name}", kind, help_, samples)

        def of_all(name: str, kind: Kind, help_: str, value: float) -> Family:
            return Family(f"secretary_render_{name}", kind, help_, [Sample(one, value)])

        return [
            of_groups(
                "applied_revision", Kind.GAUGE, "Revision that the proxy works by.",
                lambda g: g.applied.revision if g.applied else 0,
            ),
            of_all(
                "seen_revision", Kind.GAUGE, "Revision last heard of.", loop.snapshot.revision
            ),
            of_groups(
                "behind_seconds", Kind.GAUGE, "How long the oldest change has been waiting.",
                lambda g: g.behind_s,
            ),
            of_groups(
                "applied_seconds", Kind.HISTOGRAM, "From a change's arrival to its being applied.",
                lambda g: g.seconds.histogram(),
            ),
            of_groups("writes_total", Kind.COUNTER, "Files replaced.", lambda g: g.writes),
            of_groups("reloads_total", Kind.COUNTER, "Reloads that worked.", lambda g: g.reloads),
            of_groups(
                "runtime_changes_total", Kind.COUNTER, "Servers changed in a running proxy.",
                lambda g: g.runtime_changes,
            ),
            of_groups(
                "failures_total", Kind.COUNTER, "Attempts to publish that failed.",
                lambda g: g.failures,
            ),
            of_groups(
                "failing", Kind.GAUGE, "1 while the last attempt failed.",
                lambda g: float(g.trouble is not None),
            ),
            of_groups(
                "quarantined", Kind.GAUGE, "Services whose last change is left out.",
                lambda g: len(g.publisher.quarantined),
            ),
            of_all("etcd_reachable", Kind.GAUGE, "1 unless etcd is away.", float(not loop.away)),
            of_all("rejected", Kind.GAUGE, "Bad records, left out.", len(loop.snapshot.rejected)),
            of_all("held", Kind.GAUGE, "Instances kept by a guard.", len(loop.guard.held)),
            of_all("alarms_total", Kind.COUNTER, "Times that a guard stepped in.", loop.alarms),
            Family(
                "secretary_render_instances", Kind.GAUGE, "Instances of each service.",
                [Sample((("service", n),), len(service)) for n, service in services.items()],
            ),
        ]  # fmt: skip


def applied(groups: Sequence[Group], loop: Loop) -> int:
    """Return the revision of the records that all proxies work by.

    0 while one works by a revision that is yet to come: etcd was made anew, and counts from 1.
    """
    least = min((group.applied.revision if group.applied else 0 for group in groups), default=0)
    return least if least <= loop.snapshot.revision else 0


def drains_applied(groups: Sequence[Group], loop: Loop) -> int:
    """Return the revision of the drains that all proxies work by; 0 as for the records."""
    least = min((group.applied.drains if group.applied else 0 for group in groups), default=0)
    return least if least <= loop.drains.revision else 0


def _group(group: Group) -> dict[str, object]:
    return {
        "name": group.name,
        "destinations": [str(output.destination.path) for output in group.publisher.outputs],
        "applied": group.applied.revision if group.applied else 0,
        "applied_at": _time(group.applied_at),
        "behind_s": round(group.behind_s, 3),
        "writes": group.writes,
        "reloads": group.reloads,
        "runtime_changes": group.runtime_changes,
        "failures": group.failures,
        "quarantined": {name: kept.reason for name, kept in group.publisher.quarantined.items()},
        "last_error": group.trouble,
    }


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
