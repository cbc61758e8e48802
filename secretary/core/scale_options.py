"""Every option of a group of machines, once: keys of scale.toml's [[group]], and flags.

Only says what there is; `resolve_scale.py` says what it is for.
"""

from collections.abc import Hashable
from functools import partial
from typing import Final

from secretary.core import values
from secretary.core.option import Many, Option, Scope
from secretary.core.scaling import Choice, Metric, ProviderName
from secretary.core.target import TARGET
from secretary.core.values import Kind, duration, whole


def _number(text: str) -> float:
    number = float(text)  # its ValueError speaks of Python
    if not 0 <= number < float("inf"):
        raise ValueError
    return number


def _positive(text: str) -> float:
    try:
        return _number(text)
    except ValueError:
        raise ValueError from None


def _distinct(found: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    if len(set(found)) < len(found):
        raise ValueError("a value is given twice")
    return found


NUMBER: Final = Kind(_positive, "NUMBER", "a number, 0 or more", (int, float, str))
_group = partial(Option, scope=Scope.GROUP, verbs=frozenset({"scale"}))

OPTIONS: Final[tuple[Option, ...]] = (
    _group("name", values.NAME, "Name of the group."),
    _group("service", values.NAME, "Service of its machines; without it, the group's name."),
    _group("provider", values.choice(ProviderName), "Who makes the machines.", "docker"),
    _group("image", values.TEXT, "Image or snapshot of a machine."),
    _group(
        "size", values.TEXT,
        "Size or flavor; for docker CPUs, or CPUs and memory, such as 0.5 or 1:256m.",
    ),
    _group("region", values.TEXT, "Region."),
    _group("network", values.TEXT, "Network on which the proxies reach the machines."),
    _group(
        "ssh-key", values.TEXT, "Key that may log in.",
        many=Many(",", collect=_distinct),
    ),
    _group(
        "tag", values.NAME, "Tag of the machines, besides the one by which they are found.",
        many=Many(",", collect=_distinct),
    ),
    _group(
        "user-data", values.PATH,
        "Template of what a machine is given at its start: ${name}, ${group} and ${service}.",
    ),
    _group(
        "name-prefix", values.NAME,
        "What the machines' names begin with; without it, the group's name.",
    ),
    _group("min", whole(0, 1000), "Fewest machines.", "1"),
    _group("max", whole(1, 1000), "Most machines.", "5"),
    _group("port", values.PORT, "Port of the app on its machine."),
    _group("probe", TARGET, "What to ask for the app's health, where a secretary here asks it."),
    _group(
        "register", values.SWITCH,
        "The machines have no secretary inside: `secretary scale auto` runs one for each.",
        "false",
    ),
    _group(
        "boot-timeout", duration("1s", "24h"),
        "Time from the request until a machine must be in service; then another takes its"
        " place.", "5m",
    ),
    _group(
        "drain-time", duration("0s", "1h"),
        "Time for open connections, after all renderers have taken a machine out.", "10s",
    ),
    _group(
        "max-replacements", whole(0, 1000),
        "Machines replaced within an hour; after that the group is left as it is.", "3",
    ),
    _group("max-unavailable", whole(1, 1000), "Machines that leave at the same time.", "1"),
    _group("first", values.choice(Choice), "Which machine goes first.", "oldest"),
    _group("auto", values.SWITCH, "Follow the metric; false for by hand only.", "true"),
    _group("metric", values.choice(Metric), "What decides.", "cpu"),
    _group(
        "up-at", NUMBER,
        "At this value a machine, or above it, machines are added; cpu in percent.", "70",
    ),
    _group("down-at", NUMBER, "At this value, or below it, machines are removed.", "10"),
    _group("every", duration("5s", "1h"), "Time between two looks at the metric.", "10s"),
    _group("up-window", duration("1s", "24h"), "Time whose mean decides on adding.", "60s"),
    _group("up-cooldown", duration("0s", "24h"), "Least time between two additions.", "60s"),
    _group(
        "down-window", duration("1s", "24h"), "Time whose highest value decides on removing.",
        "300s",
    ),
    _group("up-step", whole(1, 1000), "Most machines added at once.", "2"),
    _group("down-step", whole(1, 1000), "Most machines removed at once.", "1"),
    _group(
        "source", values.TEXT,
        "Where the metric is read: URL of HAProxy's stats in CSV or path of its socket, several"
        " with commas between; base URL of Prometheus.",
    ),
    _group("query", values.TEXT, "Query of Prometheus that answers with one number, of all."),
)  # fmt: skip

BY_NAME: Final = {option.name: option for option in OPTIONS}
