"""What was measured of a group, and what of it is remembered from one decision to the next.

Pure: the times come in, of a clock that never goes back.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from secretary.core.scaling import PolicySettings

SILENCE_LOOKS: Final = 3
"""After so many looks without data, what was known before them no longer counts."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look found: a value of each machine that could be measured.

    `serving` is how many there were to be measured.
    """

    at_s: float
    values: Sequence[float]
    serving: int

    @classmethod
    def of_sum(cls, at_s: float, total: float, serving: int) -> Self:
        """Return the sample of a metric that is known of all machines together only."""
        return cls(at_s, (total / max(1, serving),) * serving, serving)

    @property
    def load(self) -> float | None:
        """What all machines carry together; None when less than half of them were measured.

        What is not a number, negative or infinite was not measured.
        """
        good = [value for value in self.values if math.isfinite(value) and value >= 0]
        if not good or not self.serving or 2 * len(good) < self.serving:
            return None
        return sum(good) / len(good) * self.serving


@dataclass(frozen=True, slots=True)
class Load:
    """What the whole group carried at a time, so that it can be held against another number."""

    at_s: float
    total: float


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered: `loads` are without a gap, up to the last look.

    `number` is how many machines there were, those to come included; None before the first look.
    `added_s` is when machines were seen to be more, `changed_s` when more or fewer.
    `blind` is whether the last look brought no data.
    """

    loads: tuple[Load, ...] = ()
    number: int | None = None
    added_s: float = -math.inf
    changed_s: float = -math.inf
    blind: bool = True

    def looked(
        self, settings: PolicySettings, number: int, samples: Iterable[Sample], now_s: float
    ) -> "Past":
        """Return the past after one more look, which found `number` machines and these samples."""
        patience_s = SILENCE_LOOKS * settings.interval_s
        loads, blind = list(self.loads), True
        for sample in samples:
            last_s = loads[-1].at_s if loads else -math.inf
            if not last_s < sample.at_s <= now_s:
                continue  # told before, or of no time that has been
            blind = sample.load is None
            if sample.load is not None:
                if sample.at_s - last_s > patience_s:
                    loads.clear()
                loads.append(Load(sample.at_s, sample.load))
        if loads and now_s - loads[-1].at_s > patience_s:
            loads.clear()
        oldest_s = now_s - max(settings.up_window_s, settings.down_window_s)
        # One from before the windows stays: it shows that they are full.
        first = max((i for i, load in enumerate(loads) if load.at_s <= oldest_s), default=0)
        before = number if self.number is None else self.number
        return Past(
            tuple(loads[first:]),
            number,
            now_s if number > before else self.added_s,
            now_s if number != before or self.number is None else self.changed_s,
            blind,
        )

    def over(self, window_s: float, now_s: float) -> list[float] | None:
        """Return the loads of the last `window_s`; None when they do not reach so far back."""
        if not self.loads or self.loads[0].at_s > now_s - window_s:
            return None
        return [load.total for load in self.loads if load.at_s >= now_s - window_s] or None
