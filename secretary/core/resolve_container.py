"""A container's labels, and what was said of all of them, into settings of services.

Pure, like `resolve.py`. What does not go together is a SettingsError of one line, and concerns
this container alone.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from secretary.core import labels, registrator
from secretary.core.container import Container
from secretary.core.errors import SettingsError
from secretary.core.given import Layer
from secretary.core.option import Scope
from secretary.core.options import BY_NAME, OPTIONS
from secretary.core.placement import place
from secretary.core.reading import Reading
from secretary.core.services import service
from secretary.core.settings import Advertise, ContainerRules, ServiceSettings
from secretary.core.target import DOCKER, OF_THE_APP, names_no_other
from secretary.core.values import printable

MOST_SERVICES: Final = 32
"""Each has a thread here: a container must not be able to take them all."""
LEAST_INTERVAL_S: Final = 0.25
"""How often a container may have itself asked."""
_SERVICE: Final = tuple(option for option in OPTIONS if option.scope is Scope.SERVICE)


def services(
    container: Container, rules: ContainerRules, host_ip: Callable[[str], str]
) -> list[tuple[ServiceSettings, str]]:
    """Return the services of a container, each with why it has its address; none if it has none.

    `host_ip` tells the address of this host that --ip means, and may raise AddressError.
    """
    spoken_of = _spoken_of(container, rules)
    if len(spoken_of) > MOST_SERVICES:
        raise SettingsError(
            f"container {printable(container.name)}: has {len(spoken_of)} services, allowed: up to"
            f" {MOST_SERVICES}"
        )
    return [_service(container, rules, layer, host_ip) for layer in spoken_of]


def _spoken_of(container: Container, rules: ContainerRules) -> Sequence[Layer]:
    """Return what the container itself says of each of its services."""
    native = labels.services(container)
    if rules.ref is not None:
        if len(native) > 1 and (given := _given_for_one(rules)):
            raise SettingsError(
                f"{given}: speaks of one service, and container {container.name} is labelled as"
                f" {len(native)}"
            )
        return native or [{}]
    return native or registrator.services(container, auto=rules.auto)


def _given_for_one(rules: ContainerRules) -> str | None:
    given = (
        layer[name].where for layer in rules.above for name in ("name", "port") if name in layer
    )
    return next(given, None)


def _service(
    container: Container, rules: ContainerRules, said: Layer, host_ip: Callable[[str], str]
) -> tuple[ServiceSettings, str]:
    _refuse_elsewhere(said)
    read = Reading(_SERVICE, (*rules.above, said, *rules.below), own={*rules.own, *said})
    if not read.is_given("name"):
        raise SettingsError(
            f"container {printable(container.name)}: has no label secretary.name"
            + (", and there is no --name" if rules.ref is not None else "")
        )
    settings = service(read)
    for name in ("interval", "fast-interval"):
        if name in said and read[name] < LEAST_INTERVAL_S:
            raise SettingsError(
                f"{read.at(name)}: got '{read.shown(name)}', allowed by a label:"
                f" {LEAST_INTERVAL_S * 1000:g}ms and more"
            )
    if read.is_own("ip") and read["advertise"] is Advertise.CONTAINER:
        raise SettingsError(
            f"{read.at('ip')}: the address is the container's, unless --advertise host is given"
        )
    found = place(
        container,
        read["advertise"],
        network=read["network"],
        port=read["port"],
        host_ip=lambda: host_ip(read["ip"]),
    )
    if read["probe"] == DOCKER and not container.has_health_check:
        raise SettingsError(
            f"{read.at('probe')}: container {container.name} has no HEALTHCHECK for Docker to tell"
        )
    return msgspec.structs.replace(
        settings, ip=found.at.host, port=found.at.port, probe_at=found.probe_at
    ), found.why


def _refuse_elsewhere(said: Layer) -> None:
    """Whoever may start a container may not make us ask other hosts, nor run a command here."""
    if "probe" not in said:
        return
    for text in said["probe"].texts:
        if not names_no_other(text):
            raise SettingsError(
                f"{said['probe'].where}: got '{BY_NAME['probe'].kind.show(text)}', and a"
                f" container names neither another host nor a command, allowed: {OF_THE_APP}"
            )
