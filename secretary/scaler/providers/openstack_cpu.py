"""How busy machines are, from what Nova's diagnostics tell of their cores at two moments.

It has no clock: a look comes with its time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from secretary.scaler.providers.openstack_answers import Core

_SHORTEST_S: Final = 1.0
"""Between two looks: below, what the hypervisor rounds would be seen."""
_LONGEST_S: Final = 300.0
"""Between two looks: above, the mean says nothing of now."""
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Look:
    at_s: float
    cores: int
    busy_ns: int
    percent: float | None
    """What it told together with the look before it."""


class Loads:
    """Remembers the last look at each machine. Not to be called from several threads at once."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}

    def forget_all_but(self, ids: Sequence[str]) -> None:
        self._looks = {id_: look for id_, look in self._looks.items() if id_ in set(ids)}

    def percent(self, id_: str, cores: Sequence[Core], now_s: float) -> float | None:
        """Return the load in percent of all cores, since the look before; None if not known.

        Where the hypervisor tells the percentage itself, that is taken.
        """
        told = [core.utilisation for core in cores if core.utilisation is not None]
        if cores and len(told) == len(cores):
            return _sound(sum(told) / len(told))
        times = [core.time for core in cores if core.time is not None]
        if not cores or len(times) != len(cores):
            return None
        before = self._looks.get(id_)
        if before is not None and now_s - before.at_s < _SHORTEST_S:
            return before.percent
        percent = _since(before, len(times), sum(times), now_s)
        self._looks[id_] = _Look(now_s, len(times), sum(times), percent)
        return percent


def _since(before: _Look | None, cores: int, busy_ns: int, now_s: float) -> float | None:
    if before is None or before.cores != cores or busy_ns < before.busy_ns:
        return None  # the first look, or it has been resized or restarted since
    elapsed_s = now_s - before.at_s
    if elapsed_s > _LONGEST_S:
        return None
    return _sound((busy_ns - before.busy_ns) / _NS / elapsed_s / cores * 100)


def _sound(percent: float) -> float:
    return min(max(percent, 0.0), 100.0)
