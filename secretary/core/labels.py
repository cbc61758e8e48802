"""A container's labels as layers of options: `secretary.port` is `--port`, of this container.

    secretary.name, .port, .probe, …      one service
    secretary.<id>.name, .port, …         one more, for each id
    secretary.meta.<key>                  an entry of its meta

A label is of whoever started the container, so none names a file.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

from secretary.core.container import Container
from secretary.core.errors import SettingsError
from secretary.core.given import Given, Layer
from secretary.core.options import BY_NAME
from secretary.core.sources import divide
from secretary.core.values import printable

MARK: Final = "secretary."
_META: Final = "meta."
_OPTIONS: Final[Mapping[str, str]] = {
    **{name: name for name in (
        "name", "port", "probe", "interval", "fast-interval", "timeout", "rise", "fall", "grace",
        "ttl", "weight", "network", "advertise", "method", "expect-status", "probe-insecure",
        "probe-server-name",
    )},
    "tags": "tag",
}  # fmt: skip
"""The option that each label stands for. `meta` is apart."""


def services(container: Container) -> list[Layer]:
    """Return a layer for each service that the labels speak of, the plain one first.

    SettingsError names the container and the label that none is called.
    """
    layers: dict[str, dict[str, Given]] = {}
    meta: dict[str, list[str]] = {}
    for label, text in sorted(container.labels.items()):
        if not label.startswith(MARK):
            continue
        where = at(container, label)
        id_, name = _split(label.removeprefix(MARK), where)
        layer = layers.setdefault(id_, {})
        if text == "":
            continue  # as good as none: what a Compose file makes of a variable that is not set
        if name.startswith(_META):
            key = name.removeprefix(_META)
            if "=" in key:
                raise SettingsError(f"{where}: the key {printable(key)!r} holds '='")
            meta.setdefault(id_, []).append(f"{key}={text}")
            continue
        option = _OPTIONS[name]
        layer[option] = Given(divide(BY_NAME[option], text), where)
    for id_, texts in meta.items():
        stem = f"{MARK}{id_}." if id_ else MARK
        layers[id_]["meta"] = Given(tuple(texts), at(container, f"{stem}{_META}*"))
    named = [id_ for id_, layer in layers.items() if layer]
    for id_ in named:
        if id_ and "name" not in layers[id_]:
            raise SettingsError(f"{at(container, f'{MARK}{id_}.name')}: is missing")
    return [layers[id_] for id_ in sorted(named)]


def at(container: Container, label: str) -> str:
    """Return where a label stands, for the beginning of an error's message."""
    return f"container {printable(container.name)}: label {printable(label)}"


def _split(label: str, where: str) -> tuple[str, str]:
    """Return the service's id (none for the plain one), and what is said of it."""
    if _is_known(label):
        return "", label
    id_, dot, name = label.partition(".")
    if dot and id_ and _is_known(name) and not _is_known(id_) and id_ != _META[:-1]:
        return id_, name
    close = difflib.get_close_matches(label.rpartition(".")[2], _OPTIONS, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; there are {_listed(_OPTIONS)}"
    raise SettingsError(f"{where}: there is no such label{hint}")


def _is_known(name: str) -> bool:
    return name in _OPTIONS or (name.startswith(_META) and name != _META)


def _listed(names: Iterable[str]) -> str:
    return f"{', '.join(sorted(names))} and meta.KEY"
