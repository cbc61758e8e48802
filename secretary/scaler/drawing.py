"""A run as a picture: machines against load over time, as the text of an SVG. Writes no file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from html import escape
from itertools import groupby, pairwise
from typing import Final

from secretary.scaler.simulation import Frame, Run

WIDTH: Final = 960
HEIGHT: Final = 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 924, 76, 392
"""The edges of the plot itself."""
_TICKS_S: Final = (60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800, 1209600)
_MOST_TICKS: Final = 13

_STYLE: Final = """
  text { font: 12px sans-serif; fill: #444 } .title { font-size: 16px; fill: #111 }
  .grid { stroke: #e4e4e4 } .axis { stroke: #888 } .limit { stroke: #999; stroke-dasharray: 5 4 }
  .paid { fill: #cfe0f3 } .over { fill: #d62728; fill-opacity: 0.25 }
  .serving { fill: none; stroke: #1f5fa8; stroke-width: 2 }
  .load { fill: none; stroke: #e07b00; stroke-width: 1.3; stroke-linejoin: round }
"""
_LEGEND: Final = (
    ("load", "load"),
    ("serving", "serving"),
    ("paid", "paid for"),
    ("over", "over capacity"),
)


def draw(run: Run, title: str, subtitle: str) -> str:
    """Return the SVG. Both axes begin at 0; the vertical one counts machines."""
    frames = run.frames
    end_s = max(run.trace.length_s, run.settings.interval_s)
    top = max(run.limits.most, *(max(f.load, _paid(f)) for f in frames)) * 1.06

    def x(time_s: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * time_s / end_s

    def y(machines: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * machines / top

    paid = _stairs([(x(f.at_s), y(_paid(f))) for f in frames])
    parts = [
        f'<text class="title" x="{_LEFT}" y="26">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="46">{escape(subtitle)}</text>',
        *_legend(),
        f'<path class="paid" d="{paid} V{_BOTTOM} H{_LEFT} Z"/>',
        *_heights(top, y),
        *_hours(run, end_s, x),
        *_limits(run, y),
        *_over(frames, run.settings.interval_s, x),
        f'<path class="serving" d="{_stairs([(x(f.at_s), y(f.serving)) for f in frames])}"/>',
        f'<path class="load" d="{_line([(x(f.at_s), y(f.load)) for f in frames])}"/>',
        f'<path class="axis" fill="none" d="M{_LEFT} {_TOP} V{_BOTTOM} H{_RIGHT}"/>',
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            f' width="{WIDTH}" height="{HEIGHT}">',
            f"<style>{_STYLE}</style>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _paid(frame: Frame) -> int:
    return frame.serving + frame.coming + frame.leaving


def _stairs(points: Sequence[tuple[float, float]]) -> str:
    """Return a path that keeps its height until the next point; only changes are written."""
    steps = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (_, before), (at, height) in pairwise(points):
        if height != before:
            steps.append(f"H{at:.1f} V{height:.1f}")
    return " ".join([*steps, f"H{points[-1][0]:.1f}"])


def _line(points: Iterable[tuple[float, float]]) -> str:
    """Return a path with the highest and the lowest point of each column of pixels."""
    kept: list[tuple[float, float]] = []
    for _, group in groupby(points, key=lambda point: round(point[0])):
        column = list(group)
        ends = {f(column, key=lambda point: point[1]) for f in (min, max)}
        kept += sorted(ends)
    return "M" + " L".join(f"{at:.1f} {height:.1f}" for at, height in kept)


def _over(frames: Sequence[Frame], interval_s: float, x: Callable[[float], float]) -> Iterator[str]:
    for is_over, group in groupby(frames, key=lambda frame: frame.is_over):
        if is_over:
            times = [frame.at_s for frame in group]
            begin, end = x(times[0]), min(_RIGHT, x(times[-1] + interval_s))
            yield (
                f'<rect class="over" x="{begin:.1f}" y="{_TOP}"'
                f' width="{max(1.0, end - begin):.1f}" height="{_BOTTOM - _TOP}"/>'
            )


def _heights(top: float, y: Callable[[float], float]) -> Iterator[str]:
    step = next(size for size in _whole_steps() if top / size <= 8)
    for number in range(0, int(top) + 1, step):
        at = y(number)
        yield f'<path class="grid" d="M{_LEFT} {at:.1f} H{_RIGHT}"/>'
        yield f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{number}</text>'
    yield f'<text x="{_LEFT}" y="{_TOP - 8}" text-anchor="middle">machines</text>'


def _whole_steps() -> Iterator[int]:
    size = 1
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10


def _hours(run: Run, end_s: float, x: Callable[[float], float]) -> Iterator[str]:
    step_s = next((s for s in _TICKS_S if end_s / s < _MOST_TICKS), _TICKS_S[-1])
    began = run.trace.began
    # A recorded trace has its ticks at full hours of the clock.
    into_s = began.timestamp() % step_s if began else 0.0
    at_s = -into_s % step_s
    while at_s <= end_s:
        at = x(at_s)
        yield f'<path class="grid" d="M{at:.1f} {_TOP} V{_BOTTOM}"/>'
        if began:
            moment = began + timedelta(seconds=at_s)
            label = f"{moment:%d %b}" if step_s >= 86400 else f"{moment:%H:%M}"
        else:
            label = f"{int(at_s / 3600)}:{int(at_s % 3600 / 60):02}"
        yield f'<text x="{at:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{label}</text>'
        at_s += step_s
    unit = "time (UTC)" if began else "hours"
    yield f'<text x="{_RIGHT}" y="{_BOTTOM + 38}" text-anchor="end">{unit}</text>'


def _limits(run: Run, y: Callable[[float], float]) -> Iterator[str]:
    for word, number in (("min", run.limits.least), ("max", run.limits.most)):
        yield f'<path class="limit" d="M{_LEFT} {y(number):.1f} H{_RIGHT}"/>'
        yield f'<text x="{_RIGHT + 5}" y="{y(number) + 4:.1f}">{word}</text>'


def _legend() -> Iterator[str]:
    at = _RIGHT - 364
    for style, word in _LEGEND:
        if style in ("paid", "over"):
            yield f'<rect class="{style}" x="{at}" y="59" width="22" height="10"/>'
        else:
            yield f'<path class="{style}" d="M{at} 64 h22"/>'
        yield f'<text x="{at + 28}" y="68">{word}</text>'
        at += 48 + 7 * len(word)
