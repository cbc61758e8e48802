"""Renderers that were there, and have fallen silent: their proxies may still send requests.

One that hangs, or is cut off from etcd, loses its lease and changes nothing any more.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from secretary.core.rotation import Follower, Rotation

MISSED_S: Final = 300.0
"""How long after it was seen last it is waited for; one that starts again has its old id."""


class Missed:
    """Of one group, as one process has seen them. One that begins anew misses none."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[Follower, float]] = {}

    def look(self, rotation: Rotation) -> Rotation:
        """Return it with those that are missed."""
        now_s = self._clock()
        self._seen |= {each.id: (each, now_s) for each in rotation.followers}
        self._seen = {
            id_: (each, at_s) for id_, (each, at_s) in self._seen.items() if now_s - at_s < MISSED_S
        }
        here = {each.id for each in rotation.followers}
        return replace(
            rotation, missed=[each for id_, (each, _) in self._seen.items() if id_ not in here]
        )
