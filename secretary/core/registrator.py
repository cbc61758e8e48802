"""The labels and variables that registrator's users have already: SERVICE_NAME and its kin.

Source: https://gliderlabs.github.io/registrator/latest/user/services/. As there, each published
port is a service; a label wins over a variable, SERVICE_<port>_X over SERVICE_X; and any text for
SERVICE_IGNORE ignores. Different from there: what else begins with SERVICE_ becomes meta only
when it is a label, for a variable may be a secret.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from secretary.core.container import REGISTRATOR_MARK, Container
from secretary.core.given import Given, Layer
from secretary.core.options import BY_NAME
from secretary.core.sources import divide
from secretary.core.values import printable

_Said: TypeAlias = Mapping[str, Given]
"""What is said, by the part of its name after the mark and the port."""

_OF_A_PORT: Final = re.compile(r"([0-9]{1,5})_(.+)")
_OPTIONS: Final = {
    "NAME": "name", "TAGS": "tag", "CHECK_HTTP": "probe", "CHECK_INTERVAL": "interval",
    "CHECK_TIMEOUT": "timeout",
}  # fmt: skip
_NO_META: Final = re.compile(r"NAME|TAGS|IGNORE|ID|CHECK_.*")


def services(container: Container, *, auto: bool) -> list[Layer]:
    """Return a layer for each published port that is named, with `auto` for every one.

    A guest in another's network publishes nothing: the ports are its host's.
    """
    if container.is_guest:
        return []
    who = f"container {printable(container.name)}"
    ports = sorted({published.port for published in container.published})
    found: list[Layer] = []
    for port in ports:
        labels, own_labels = _said(container.labels, port, f"{who}: label")
        variables, own_variables = _said(container.environ, port, f"{who}: variable")
        own = {**own_variables, **own_labels}
        said = {**variables, **labels, **own}
        if "IGNORE" in said or ("NAME" not in said and not auto):
            continue
        name = said.get("NAME") or Given((_image_name(container),), f"{who}: its image")
        if len(ports) > 1 and "NAME" not in own:
            name = Given((f"{name.texts[0]}-{port}",), name.where)
        layer = {option: said[key] for key, option in _OPTIONS.items() if key in said}
        if "TAGS" in said:
            tags = said["TAGS"]
            layer["tag"] = Given(divide(BY_NAME["tag"], tags.texts[0]), tags.where)
        layer |= {"name": name, "port": Given((str(port),), f"{who}: published port")}
        meta = tuple(
            f"{key.lower()}={given.texts[0]}"
            for key, given in sorted({**labels, **own_labels}.items())
            if not _NO_META.fullmatch(key)
        )
        if meta:
            layer["meta"] = Given(meta, f"{who}: labels {REGISTRATOR_MARK}*")
        found.append(layer)
    return found


def _said(texts: Mapping[str, str], port: int, where: str) -> tuple[_Said, _Said]:
    """Return what is said of all ports, and what of this one."""
    of_all, of_this = {}, {}
    for key, text in texts.items():
        if not key.startswith(REGISTRATOR_MARK) or text == "":
            continue
        name = key.removeprefix(REGISTRATOR_MARK)
        given = Given((text,), f"{where} {printable(key)}")
        if (match := _OF_A_PORT.fullmatch(name)) is None:
            of_all[name] = given
        elif match[1] == str(port):
            of_this[match[2]] = given
    return of_all, of_this


def _image_name(container: Container) -> str:
    """Return the last part of an image's name, without tag and digest."""
    last = container.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    # One without a name is called by its digest.
    is_digest = container.image.startswith("sha256:") or re.fullmatch(r"[0-9a-f]{12,64}", last)
    return container.name if is_digest else last
