"""The kinds of value that only rendering knows: see `values.py`."""

import re
from typing import Final

from secretary.core.settings import (
    CommandReload,
    DockerReload,
    Owner,
    Reload,
    SignalReload,
    SystemdReload,
)
from secretary.core.values import NAME_RULE, Kind, command, key_value

_ACCOUNT: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?"
_CONTAINER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\@-]+")
_SIGNALS: Final = ("HUP", "USR1", "USR2", "WINCH", "INT", "QUIT", "TERM")
"""What proxies take as a word, and no other: KILL is not a reload."""


def _reload(text: str) -> Reload:
    method, colon, rest = text.partition(":")
    if colon and method == "signal":
        name, at, pidfile = rest.partition("@")
        if not at or not pidfile or "\0" in pidfile:
            raise ValueError("signal: wants NAME@PIDFILE")
        return SignalReload(_signal(name), pidfile)
    if colon and method == "docker":
        container, _, name = rest.rpartition(":")
        if not _CONTAINER.fullmatch(container):
            raise ValueError("docker: wants CONTAINER:SIGNAL")
        return DockerReload(container, _signal(name))
    if colon and method == "systemd":
        if not _UNIT.fullmatch(rest):
            raise ValueError("systemd: wants the name of a unit")
        return SystemdReload(rest)
    return CommandReload(tuple(command(text)))


def _signal(name: str) -> str:
    short = name.upper().removeprefix("SIG")
    if short not in _SIGNALS:
        raise ValueError(f"the signal is none of {', '.join(_SIGNALS)}")
    return short


def _check(text: str) -> tuple[str, ...]:
    if text == "off":
        return ()
    words = tuple(command(text))
    if not any("{staged}" in word or "{wrapped}" in word for word in words):
        raise ValueError("it does not say where {staged} goes")
    return words


def _mode(text: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError
    return int(text, 8)


def _owner(text: str) -> Owner:
    match = re.fullmatch(rf"({_ACCOUNT})(?::({_ACCOUNT}))?", text)
    if match is None:
        raise ValueError
    return Owner(match[1], match[2])


def _var(text: str) -> tuple[str, str]:
    key, value = key_value(text)
    if not value.isprintable():
        raise ValueError("the value is not printable")
    return key, value


def _percent(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,3})%", text)
    if match is None or int(match[1]) > 100:
        raise ValueError
    return int(match[1]) / 100


def _floor(text: str) -> tuple[str, int]:
    key, value = key_value(text)
    if not re.fullmatch(r"[0-9]{1,6}", value):
        raise ValueError("the value is no whole number")
    return key, int(value)


RELOAD: Final = Kind(
    _reload,
    "HOW",
    "a command, signal:NAME@PIDFILE, docker:CONTAINER:SIGNAL or systemd:UNIT",
)
CHECK: Final = Kind(_check, "COMMAND", "a command with {staged} or {wrapped} in it, or off")
MODE: Final = Kind(_mode, "MODE", "permissions in octal digits, such as 0644")
OWNER: Final = Kind(_owner, "USER[:GROUP]", "a user, or a user and a group")
VAR: Final = Kind(_var, "KEY=VALUE", f"key=value, the key {NAME_RULE}", (str, int, bool))
PERCENT: Final = Kind(_percent, "PERCENT", "a percentage from 0% to 100%")
FLOOR: Final = Kind(
    _floor, "NAME=N", "the name of a service and a whole number, such as web=2", (int, str)
)
