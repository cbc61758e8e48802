"""`secretary scale simulate`: a load run through a group's policy, in virtual time."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from secretary.core.errors import SettingsError
from secretary.core.given import Given
from secretary.core.option import Option, Scope
from secretary.core.reading import Reading
from secretary.core.resolve_scale import parse_scale, resolve_scale
from secretary.core.scale_options import BY_NAME, NUMBER
from secretary.core.scaling import Metric, ScaleGroup
from secretary.core.values import Kind, duration, printable
from secretary.scaler import traces
from secretary.scaler.drawing import draw
from secretary.scaler.policy import Limits, too_close
from secretary.scaler.simulation import Run, World, simulate
from secretary.scaler.traces import Trace

_Verb = TypeVar("_Verb", bound=Callable[..., object])

_OF_GROUP: Final = tuple(
    BY_NAME[name]
    for name in (
        *("min", "max", "metric", "up-at", "down-at", "every", "up-window", "up-cooldown"),
        *("down-window", "up-step", "down-step", "drain-time"),
    )
)


def _capacity(text: str) -> float:
    if not (value := NUMBER.read(text)):
        raise ValueError
    return float(value)


_own = partial(Option, scope=Scope.COMMAND, verbs=frozenset({"scale simulate"}))

_OWN: Final = (
    _own(
        "capacity",
        Kind(_capacity, "NUMBER", "a number above 0"),
        "How much of the trace's load, such as requests/s, fills one machine.",
    ),
    _own("boot", duration("0s", "24h"), "Time from the request until a machine serves.", "60s"),
)
_INVENTED: Final = {"image": ("none",), "source": ("none",), "query": ("none",)}
"""What a group without a file needs besides, and a simulation does not."""


def _takes(command: _Verb) -> _Verb:
    for option in reversed((*_OF_GROUP, *_OWN)):
        default = f"  [default: {option.default}]" if option.default else ""
        command = click.option(
            f"--{option.name}",
            option.parameter,
            metavar=option.kind.metavar,
            help=f"{option.help}{default}",
        )(command)
    return command


@click.command("simulate")
@click.option(
    "--trace", "-t", "source", required=True, metavar="FILE|NAME",
    help=f"CSV with time,load; or one of these: {', '.join(traces.SYNTHETIC)}.",
)  # fmt: skip
@click.option("--config", metavar="PATH", help="A scale.toml; flags win over it.")
@click.option("--group", metavar="NAME", help="Which of its groups.")
@click.option("--out", "-o", metavar="FILE.svg", help="Draw machines against load.")
@click.option("--explain", is_flag=True, help="Print each change and its reason.")
@_takes
def simulating(
    source: str,
    config: str | None,
    group: str | None,
    out: str | None,
    explain: bool,
    **given: Any,
) -> None:
    """Run a recorded or made-up load through the policy, in virtual time; touch nothing.

    A trace has lines of time,load: seconds or ISO 8601, and the load in machines that it would
    fill (1.5: one and a half machines at 100 %), or in another unit with --capacity.
    """
    if out is not None and not out.lower().endswith(".svg"):
        raise SettingsError(
            f"--out: got '{printable(out)}', allowed: a name that ends in .svg, which is all that"
            " is drawn here; browsers and rsvg-convert make a PNG of it"
        )
    own = _own_values(given)
    settings = _group(config, group, given)
    if settings.policy is None:
        raise SettingsError(f"group {settings.name}: auto is false, so there is no policy")
    if settings.policy.metric is not Metric.CPU and own["capacity"] is None:
        raise SettingsError(
            "--capacity: is missing: how much one machine can carry,"
            f" since metric is {settings.policy.metric.value}"
        )
    world = World(own["capacity"] or 1.0, own["boot"], settings.drain_time_s)
    if warning := too_close(settings.policy):
        click.echo(f"secretary: group {settings.name}: {warning}", err=True)
    run = simulate(
        _trace(source, world.capacity),
        settings.policy,
        Limits(settings.min, settings.max),
        world,
    )
    if explain:
        for line in _explained(run):
            click.echo(line)
    summary = list(_summary(run))
    for word, text in summary:
        click.echo(f"{word:<14} {text}")
    if out is not None:
        _, *said = summary
        subtitle = " · ".join(f"{word} {text}" for word, text in said)
        _write(out, draw(run, printable(run.trace.name), subtitle))
        click.echo(f"{'drawn':<14} {printable(out)}")


def _own_values(given: dict[str, Any]) -> Reading:
    layer = {
        option.name: Given((given[option.parameter],), f"--{option.name}")
        for option in _OWN
        if given[option.parameter] is not None
    }
    defaults = {o.name: Given((o.default,), "default") for o in _OWN if o.default is not None}
    return Reading(_OWN, [layer, defaults])


def _group(config: str | None, group: str | None, given: dict[str, Any]) -> ScaleGroup:
    flags = {
        option.name: (given[option.parameter],)
        for option in _OF_GROUP
        if given[option.parameter] is not None
    }
    if config is None:
        if group is not None:
            raise SettingsError("--group: needs --config, the scale.toml in which it is")
        return resolve_scale({**_INVENTED, **flags}, (), "simulated")[0]
    _, tables = parse_scale(config, _read("--config", config))
    groups = resolve_scale({}, tables, group)
    if len(groups) != 1:
        names = ", ".join(each.name for each in groups) or "none"
        raise SettingsError(f"--group: is missing; {printable(config)} has {names}")
    return resolve_scale(flags, tables, groups[0].name)[0]


def _trace(source: str, capacity: float) -> Trace:
    if source in traces.SYNTHETIC:
        return traces.SYNTHETIC[source]().times(capacity)
    try:
        return traces.parse(source, _read("--trace", source).decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"--trace: {printable(source)}: not UTF-8") from error


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{option}: {printable(path)}: {why}") from error


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--out: {printable(path)}: {error.strerror}") from error


def _summary(run: Run) -> Iterator[tuple[str, str]]:
    length_s = run.trace.length_s
    highest = max(frame.load for frame in run.frames)
    name, length = printable(run.trace.name), _time(length_s)
    yield "trace", f"{name}, {length} hours, load up to {highest:.1f} machines"
    yield "machine hours", f"{run.machine_hours:.1f}"
    yield "most machines", f"{run.most}"
    ups = sum(change.is_up for change in run.changes)
    yield "ups and downs", f"{ups} and {len(run.changes) - ups}"
    yield "over capacity", f"{run.over_s:g} s ({100 * run.over_s / length_s:.2f} %)"
    window_s = run.settings.down_window_s
    yield "flaps", f"{len(run.flaps)} (downs within {window_s:g} s of an up)"


def _explained(run: Run) -> Iterator[str]:
    for change in run.changes:
        word = "up" if change.is_up else "down"
        yield f"{_time(change.at_s):>8}  {word:<4}  {change.decision.reason}"


def _time(time_s: float) -> str:
    minutes, seconds = divmod(int(time_s), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
