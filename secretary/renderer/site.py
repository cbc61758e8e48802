"""What the built-in templates are told with `--var`, understood; and who answers for which host.

Pure. A value that cannot be meant is a TemplateError that names the var. Records decide nothing
here but which services there are: a service answers for hosts called like itself, and for those
that the operator gives it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from secretary.core.errors import TemplateError
from secretary.core.instance import NAME_PATTERN
from secretary.core.settings import Builtin

_TIME: Final = re.compile(r"[0-9]{1,9}(ms|s|m|h)")
_ADDRESS: Final = re.compile(r"(\*|[0-9.]+|\[[0-9A-Fa-f:.]+\])?:([0-9]{1,5})")
_BEFORE_ADDRESS: Final = re.compile(
    r",(?=\s*(?:(?:\*|[0-9.]+|\[[^],]*\])?:)?[0-9]+(?:[\s,]|$))|,(?=\s*(?:,|$))"
)
_LOOPBACK: Final = re.compile(r"127\.[0-9]+\.[0-9]+\.[0-9]+|\[::1\]")
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_BOTH_FAMILIES: Final = ("0.0.0.0", "[::]")  # noqa: S104 - a proxy listens to all by default

_DEFAULTS: Final[Mapping[Builtin, Mapping[str, str]]] = {
    Builtin.NGINX: {
        "listen": ":80", "default": "", "stats": "",
        "connect-timeout": "1s", "read-timeout": "60s",
    },
    Builtin.HAPROXY: {
        "listen": ":80", "default": "", "stats": "",
        "connect-timeout": "1s", "read-timeout": "60s",
        "balance": "leastconn", "check-interval": "2s", "runtime": "", "user": "", "monitor": "",
    },
}  # fmt: skip
_FAMILIES: Final[Mapping[Builtin, tuple[str, ...]]] = {
    Builtin.NGINX: ("hosts.",),
    Builtin.HAPROXY: ("hosts.", "check."),
}
"""Beginnings of vars that end in the name of a service."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Services by host, in small letters: whole names before `*.name` before `name.*`.

    `names` are all services, `left_out` those whose names differ from another's in capitals only.
    """

    names: tuple[str, ...]
    left_out: tuple[str, ...]
    whole: Mapping[str, str]
    ending: Mapping[str, str]
    beginning: Mapping[str, str]
    default: str | None


@dataclass(frozen=True, slots=True)
class Site:
    """`listen` pairs each address with the further words of its line; times are as written."""

    listen: Mapping[str, str]
    default: str
    stats: str
    times: Mapping[str, str]
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    """By service, in small letters."""
    balance: str = ""
    runtime: str = ""
    user: str = ""
    monitor: str = ""

    @classmethod
    def of(cls, builtin: Builtin, given: Mapping[str, str]) -> "Site":
        """Read the vars of a built-in template. TemplateError for the first that is wrong."""
        known, families = _DEFAULTS[builtin], _FAMILIES[builtin]
        for name in given:
            if name not in known and not name.startswith(families):
                words = ", ".join((*known, *(f"{family}<service>" for family in families)))
                _refuse(name, f"not known; known are {words}")
        of = {**known, **given}
        listen = _listen(of["listen"])
        _check_stats(of["stats"], listen)
        _check_service("default", of["default"])
        for name in known:
            if name.endswith(("-timeout", "-interval")) and not _TIME.fullmatch(of[name]):
                _refuse(name, f"{of[name]!r} is not a time; write it like 500ms or 5s")
        if of.get("balance", "roundrobin") not in ("roundrobin", "leastconn"):
            _refuse("balance", f"{of['balance']!r}; write roundrobin or leastconn")
        return cls(
            listen=listen,
            default=of["default"],
            stats=of["stats"],
            times={name: of[name] for name in known if _TIME.fullmatch(of[name])},
            hosts={
                service: tuple(_host(f"hosts.{service}", host) for host in text.lower().split())
                for service, text in _family("hosts.", given)
            },
            checks={
                service.lower(): _path(f"check.{service}", path)
                for service, path in _family("check.", given)
            },
            balance=of.get("balance", ""),
            runtime=of.get("runtime", ""),
            user=of.get("user", ""),
            monitor=_path("monitor", of["monitor"]) if of.get("monitor") else "",
        )

    def routes(self, services: Iterable[str]) -> Routes:
        """Return who answers for which host, where these are the services that there are.

        What the operator says goes before: no record takes a host that was given to another.
        """
        services = set(services)
        spoken_of = {*self.hosts, *self.checks, *([self.default] if self.default else ())}
        named: dict[str, str] = {}
        for name in sorted(services | spoken_of):
            named[name.lower()] = name  # of names that differ in capitals only, the small one
        names = tuple(sorted(named.values()))
        whole: dict[str, str] = {}
        ending: dict[str, str] = {}
        for service, hosts in self.hosts.items():
            for host in hosts:
                bare = host.removeprefix("*.")
                into = whole if bare == host else ending
                other = into.setdefault(bare, named[service.lower()])
                if other != named[service.lower()]:
                    _refuse(f"hosts.{service}", f"{host} is a host of {other} already")
        own = {name.lower(): name for name in names if ".." not in name}
        return Routes(
            names=names,
            left_out=tuple(sorted(services - {*names})),
            whole=own | whole,
            ending=dict(sorted(ending.items(), key=lambda e: e[0][::-1], reverse=True)),
            beginning=dict(sorted(own.items(), reverse=True)),
            default=named.get(self.default.lower()),
        )


def _refuse(name: str, why: str) -> NoReturn:
    raise TemplateError(f"var {name}: {why}")


def _family(beginning: str, given: Mapping[str, str]) -> list[tuple[str, str]]:
    found = [
        (name.removeprefix(beginning), text)
        for name, text in given.items()
        if name.startswith(beginning)
    ]
    for service, _ in found:
        _check_service(f"{beginning}{service}", service)
    return found


def _check_service(var: str, name: str) -> None:
    if name and not re.match(NAME_PATTERN, name):
        _refuse(var, f"{name!r} cannot be the name of a service")


def _listen(text: str) -> dict[str, str]:
    listen: dict[str, str] = {}
    # A comma may stand in the further words, as in `alpn h2,http/1.1`.
    for item in (part.strip() for part in _BEFORE_ADDRESS.split(text)):
        address, _, words = item.partition(" ")
        # A port alone is meant as well.
        match = _ADDRESS.fullmatch(address if ":" in address else f":{address}")
        if match is None or not 0 < int(match[2]) < 65536:
            _refuse(
                "listen",
                f"{item!r} is not an address; write :80, 10.0.0.1:80 or [::1]:80, with a comma"
                " between two",
            )
        ips = _BOTH_FAMILIES if match[1] in (None, "*") else (match[1],)
        for ip in ips:
            listen.setdefault(f"{ip}:{match[2]}", words.strip())
    return listen


def _check_stats(text: str, listen: Mapping[str, str]) -> None:
    if not text:
        return
    match = _ADDRESS.fullmatch(text)
    if match is None or not match[1] or not _LOOPBACK.fullmatch(match[1]):
        _refuse(
            "stats",
            f"{text!r} is not an address that only this host reaches; write 127.0.0.1:8404 or"
            " [::1]:8404",
        )
    if any(address.rpartition(":")[2] == match[2] for address in listen):
        _refuse("stats", f"port {match[2]} is one of listen; take another")


def _host(var: str, text: str) -> str:
    if not _HOST.fullmatch(text):
        _refuse(
            var,
            f"{text!r} is not the name of a host; write www.example.com or *.example.com, with a"
            " space between two",
        )
    return text


def _path(var: str, text: str) -> str:
    if not re.fullmatch(r"/[!-~]*", text):
        _refuse(var, f"{text!r} is not a path; write it like /healthz")
    return text
