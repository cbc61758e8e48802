"""A pair of units: which files they are, what stands in each, and what is to be called next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from secretary.cli.units import app
from secretary.cli.units.secretary import (
    ANY_UNIT,
    IN_DOCKER,
    IN_GENERAL,
    Said,
    beside_instance,
    beside_unit,
    secretary,
)
from secretary.cli.units.syntax import environment
from secretary.core.errors import SettingsError

_HINT: Final = "Written by `secretary units install`; `systemctl edit` adds to it in a drop-in."
_HINT_SHIPPED: Final = (
    "`secretary units install NAME --port PORT --image IMAGE` writes such a pair for your own app."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """The text of each file, by its path below the directory of units, and how it is begun."""

    texts: Mapping[str, str]
    begin: str


def in_docker(name: str, image: str, container_port: int, port: int, said: Said) -> Pair:
    settings = f"""\
# APP_OPTIONS are further arguments of `docker run`.
{environment("APP_IMAGE", image)}
Environment=APP_PORT={container_port} APP_OPTIONS=
"""
    return _of_instances(name, app.in_docker(name, settings, _HINT), port, said)


def of_command(name: str, command: str, user: str | None, port: int, said: Said) -> Pair:
    return _of_instances(name, app.of_command(name, command, user, port, _HINT), port, said)


def of_unit(name: str, unit: str, said: Said) -> Pair:
    """Return what a unit needs that there is: its secretary, and a drop-in that brings it along."""
    _, at, instance = unit.removesuffix(".service").partition("@")
    own = f"{name}-secretary{at}{instance}.service"
    if own == unit:
        raise SettingsError(f"--unit: {unit} is what the secretary's own unit would be called")
    texts = {
        own: secretary(beside_unit(unit), said),
        f"{unit}.d/{name}-secretary.conf": app.bringing(own),
    }
    return Pair(texts, f"systemctl start {own.removesuffix('.service')}")


def shipped() -> dict[str, str]:
    """Return the files of `deploy/units` that are made here."""
    name = "app"
    settings = """\
# APP_IMAGE is needed: which image to run. APP_PORT is where it listens in its container,
# APP_OPTIONS are further arguments of `docker run`.
Environment=APP_PORT=80 APP_OPTIONS=
"""
    ours = Said(("Environment=SECRETARY_NAME=app",), IN_DOCKER)
    theirs = Said(("Environment=SECRETARY_NAME=%i",), IN_GENERAL)
    return {
        f"{name}@.service": app.in_docker(name, settings, _HINT_SHIPPED),
        f"{name}-secretary@.service": secretary(beside_instance(name), ours),
        "secretary@.service": secretary(ANY_UNIT, theirs),
    }


def _of_instances(name: str, text: str, port: int, said: Said) -> Pair:
    own = secretary(beside_instance(name), said)
    texts = {f"{name}@.service": text, f"{name}-secretary@.service": own}
    return Pair(texts, f"systemctl enable --now {name}@{port}")
