"""Counters that only grow, as rates a second. Pure: the times come in."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted at one moment, by name."""

    at_s: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)

    def since(self, before: "Counters | None") -> dict[str, float]:
        """Return the rates since `before`, as far as they are known.

        A counter that is new, or fell back since who counts has started anew, has none.
        """
        if before is None or self.at_s <= before.at_s:
            return {}
        past_s = self.at_s - before.at_s
        return {
            name: (count - before.counts[name]) / past_s
            for name, count in self.counts.items()
            if before.counts.get(name, count + 1) <= count
        }
