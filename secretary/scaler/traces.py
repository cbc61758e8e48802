"""A load over time, to be run through the policy: recorded ones are read, three are made here.

Pure, and the same at each call: the noise begins with a fixed seed. Opens no file.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from secretary.core.errors import SettingsError
from secretary.core.values import printable

DAY_S: Final = 86400.0
MOST_S: Final = 100 * DAY_S
"""What is longer was written in milliseconds, most likely."""
_STEP_S: Final = 30.0
"""Between two points of a trace that is made here."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A load at some times, which begin with 0 and rise; between two of them it runs straight.

    `began` is when it was recorded, where that is known.
    """

    name: str
    times_s: Sequence[float]
    loads: Sequence[float]
    began: datetime | None = None

    @property
    def length_s(self) -> float:
        return self.times_s[-1]

    def at(self, time_s: float) -> float:
        """Return the load at a time; before the first and after the last it stays as it is."""
        after = bisect_right(self.times_s, time_s)
        if after == 0 or after == len(self.times_s):
            return self.loads[min(after, len(self.loads) - 1)]
        (from_s, to_s), (low, high) = (
            pair[after - 1 : after + 1] for pair in (self.times_s, self.loads)
        )
        return low + (high - low) * (time_s - from_s) / (to_s - from_s)

    def times(self, factor: float) -> "Trace":
        """Return the same trace in another unit."""
        return replace(self, loads=tuple(load * factor for load in self.loads))


def parse(name: str, text: str) -> Trace:
    """Read lines of `time,load`; times are seconds, or ISO 8601 (UTC where no zone is given).

    A first line `time,load`, empty ones and those that begin with # say nothing. SettingsError
    names the line.
    """
    times: list[float] = []
    loads: list[float] = []
    is_iso: bool | None = None
    for number, line in enumerate(text.lstrip("\N{BOM}").splitlines(), start=1):
        where = f"{printable(name)}, line {number}"
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        if cells == [""] or line.startswith("#"):
            continue
        if not times and [cell.lower() for cell in cells] == ["time", "load"]:
            continue
        if len(cells) != 2:
            raise SettingsError(f"{where}: wanted time,load, got '{printable(line[:80])}'")
        time_s, load = _number(cells[0]), _number(cells[1])
        if load is None or load < 0:
            raise SettingsError(f"{where}: load '{printable(cells[1][:80])}' is not 0 or more")
        iso = time_s is None
        if iso:
            time_s = _moment_s(cells[0])
        if time_s is None or iso is not (is_iso if times else iso):
            raise SettingsError(
                f"{where}: time '{printable(cells[0][:80])}', allowed: seconds or ISO 8601,"
                " and the same in all lines"
            )
        if times and time_s <= times[-1]:
            raise SettingsError(f"{where}: its time is not later than that of the line before")
        is_iso = iso
        times.append(time_s)
        loads.append(load)
    if len(times) < 2:
        raise SettingsError(f"{printable(name)}: wanted two lines of time,load at least")
    if times[-1] - times[0] > MOST_S:
        raise SettingsError(
            f"{printable(name)}: is longer than {MOST_S / DAY_S:g} days; are its times seconds?"
        )
    began = datetime.fromtimestamp(times[0], UTC) if is_iso else None
    return Trace(name, tuple(each - times[0] for each in times), tuple(loads), began)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _moment_s(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def daily() -> Trace:
    """A day: hardly any load at three in the night, most at three in the afternoon."""

    def load(time_s: float) -> float:
        wave = 0.5 - 0.5 * math.cos(_turns(time_s - DAY_S / 8, DAY_S))
        return 0.1 + 3.0 * math.pow(wave, 1.5)

    return _made("daily", DAY_S, load)


def flash() -> Trace:
    """A flash crowd: one minute from nearly nothing to three machines' worth, then it ebbs away."""

    def load(time_s: float) -> float:
        since_s = time_s - 3600.0
        if since_s < 0:
            return 0.3
        return 0.3 + 2.7 * min(1.0, since_s / 60.0) * math.exp(-max(0.0, since_s - 1200.0) / 1200.0)

    return _made("flash", 4 * 3600.0, load)


def flap() -> Trace:
    """What makes careless policies flap: to and fro about each threshold, slow and fast."""
    phases: list[Callable[[float], float]] = [
        # About 70 % of one machine, then 10 % of two, then between hardly any and much, first
        # quicker and then slower than the window before shrinking.
        lambda t: 0.7 + 0.12 * math.sin(_turns(t, 150.0)),
        lambda t: 0.2 + 0.08 * math.sin(_turns(t, 420.0)),
        lambda t: 0.95 if t % 480.0 < 240.0 else 0.05,
        lambda t: 1.6 if t % 900.0 < 400.0 else 0.05,
    ]
    return _made("flap", 6 * 3600.0, lambda t: phases[min(3, int(t // 5400.0))](t))


SYNTHETIC: Final[Mapping[str, Callable[[], Trace]]] = {
    "daily": daily, "flash": flash, "flap": flap,
}  # fmt: skip


def _turns(time_s: float, period_s: float) -> float:
    return 2 * math.pi * time_s / period_s


def _made(name: str, length_s: float, load: Callable[[float], float]) -> Trace:
    times = [step * _STEP_S for step in range(int(length_s / _STEP_S) + 1)]
    loads = tuple(
        max(0.0, load(at) * (1 + each)) for at, each in zip(times, _noise(), strict=False)
    )
    return Trace(name, tuple(times), loads)


def _noise() -> Iterator[float]:
    """Yield 5 % more or less, as if by chance, and the same each time (glibc's `rand`)."""
    state = 1
    while True:
        state = (state * 1103515245 + 12345) % 2**31
        yield 0.1 * (state / 2**31 - 0.5)
