"""Every option, once: flags, environment variables, file keys and README's table come from here.

Only says what there is. Which source wins is `resolve.py`'s business.
"""

import enum
from collections.abc import Callable, Hashable
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Final

from secretary.core import addresses, values
from secretary.core.settings import HostPort, KeyBy, LogFormat, LogLevel
from secretary.core.values import Kind, duration, whole


class Scope(enum.Enum):
    """Where an option may stand."""

    SERVICE = "service"
    """Of one service: a flag, a variable, a key of the file or of one of its [[service]]."""
    PROCESS = "process"
    """Of the whole process: a flag, a variable or a key at the top of the file."""
    COMMAND = "command"
    """Of the command line: a flag or a variable."""


@dataclass(frozen=True, slots=True)
class Many:
    """How an option takes several values.

    `separator` divides a text that holds several; when `whole`, only the environment is divided
    so, and a flag or an entry of a file's array is one value. `joint` joins key and value of a
    TOML table. `collect` checks the values together, and may raise ValueError.
    """

    separator: str
    whole: bool = False
    joint: str = ""
    collect: Callable[[tuple[Any, ...]], Any] = lambda found: found


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `default` is a text like any other; None when there is none."""

    name: str
    kind: Kind
    help: str
    default: str | None = None
    _: KW_ONLY
    scope: Scope
    many: Many | None = None
    verbs: frozenset[str] = field(default=frozenset({"run", "check"}))

    @property
    def variable(self) -> str:
        return f"SECRETARY_{self.parameter.upper()}"

    @property
    def parameter(self) -> str:
        return self.name.replace("-", "_")


def _distinct(found: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    if len(set(found)) < len(found):
        raise ValueError("a value is given twice")
    return found


def _distinct_keys(found: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    _distinct(tuple(key for key, _ in found))
    return found


def _distinct_headers(found: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    _distinct(tuple(name.lower() for name, _ in found))
    return found


def _some(found: tuple[Any, ...]) -> tuple[Any, ...]:
    if not found:
        raise ValueError("there is none")
    return found


def _one_scheme(found: tuple[tuple[bool, HostPort], ...]) -> tuple[bool, tuple[HostPort, ...]]:
    schemes = {secure for secure, _ in _some(_distinct(found))}
    if len(schemes) > 1:
        raise ValueError("http and https cannot be mixed")
    return schemes.pop(), tuple(endpoint for _, endpoint in found)


_READERS: Final = frozenset({"run", "check", "ls"})
_service = partial(Option, scope=Scope.SERVICE)
_process = partial(Option, scope=Scope.PROCESS)

OPTIONS: Final[tuple[Option, ...]] = (
    _service("name", values.NAME, "Name of the service."),
    _service("port", values.PORT, "Port on which the app can be reached."),
    _service(
        "ip", addresses.IP,
        "Address to publish; auto is the source address of the route to etcd.", "auto",
    ),
    _service(
        "probe", addresses.TARGET,
        "What to ask for the app's health; without it, a TCP connection to the published"
        " address and port.",
    ),
    _service("method", values.METHOD, "HTTP method of the probe.", "GET"),
    _service(
        "header", values.HEADER, "Header of an HTTP probe, Host included.",
        many=Many("\n", whole=True, joint=": ", collect=_distinct_headers),
    ),
    _service(
        "expect-status", values.STATUS, "HTTP statuses that count as healthy.", "200-399",
        many=Many(",", collect=_some),
    ),
    _service(
        "expect-body", values.REGEX,
        "Regular expression to find in the first 64 KiB of an HTTP body.",
    ),
    _service("probe-cacert", values.PATH, "CA certificates an https probe trusts (PEM)."),
    _service("probe-cert", values.PATH, "Client certificate of an https probe (PEM)."),
    _service("probe-key", values.PATH, "Key of the client certificate (PEM)."),
    _service("probe-insecure", values.SWITCH, "Accept any certificate of the app.", "false"),
    _service(
        "probe-server-name", addresses.SERVER_NAME,
        "Name that the app's certificate must carry, when it is not the URL's host.",
    ),
    _service(
        "interval", duration("10ms", "24h"),
        "Time between probes; up to 10 % less, at random.", "2s",
    ),
    _service(
        "fast-interval", duration("10ms", "24h"),
        "Time between probes while the state is in doubt; never above the interval.", "500ms",
    ),
    _service(
        "timeout", duration("10ms", "24h"),
        "Deadline of a whole probe: name, connection, TLS, headers and body; at most the"
        " interval.", "1s",
    ),
    _service("rise", whole(1, 1000), "Successes in a row until the app counts as up.", "2"),
    _service("fall", whole(1, 1000), "Failures in a row until the app counts as down.", "3"),
    _service(
        "grace", duration("0s", "24h"),
        "Time from the start in which failures before the first success do not count.", "0s",
    ),
    _service(
        "ttl", duration("2s", "24h", whole=True),
        "Life of the record after the last sign of the secretary's.", "30s",
    ),
    _service(
        "prefix", values.PREFIX, "Where in etcd the records stand.", "/services", verbs=_READERS
    ),
    _service("key-by", values.choice(KeyBy), "What the last part of a record's key is.", "ip"),
    _service(
        "tag", values.NAME, "Tag in the record.", many=Many(",", collect=_distinct)
    ),
    _service("weight", values.WEIGHT, "Share of the traffic, relative to the others.", "100"),
    _service(
        "meta", values.META, "Free key and value in the record.",
        many=Many(",", whole=True, joint="=", collect=_distinct_keys),
    ),
    _process(
        "etcd", addresses.ETCD_URL, "Members of etcd, all http or all https.",
        "http://127.0.0.1:2379", many=Many(",", collect=_one_scheme), verbs=_READERS,
    ),
    _process("etcd-user", values.TEXT, "User of etcd.", verbs=_READERS),
    _process("etcd-password-file", values.PATH, "File that holds the password.", verbs=_READERS),
    _process(
        "etcd-cacert", values.PATH, "CA certificates that etcd is checked by (PEM).",
        verbs=_READERS,
    ),
    _process("etcd-cert", values.PATH, "Client certificate for etcd (PEM).", verbs=_READERS),
    _process("etcd-key", values.PATH, "Key of that client certificate (PEM).", verbs=_READERS),
    _process(
        "drain-timeout", duration("0s", "1h"), "Longest time that a graceful stop takes.", "10s"
    ),
    _process(
        "status", addresses.STATUS_ADDRESS, "Where the status server listens.", "127.0.0.1:9180",
        verbs=frozenset({"run", "check", "health"}),
    ),
    _process("log-format", values.choice(LogFormat), "How log lines are written.", "text"),
    _process("log-level", values.choice(LogLevel), "The least important lines to write.", "info"),
    Option(
        "config", values.PATH,
        "TOML file; its keys are the options' names, its [[service]] tables the services.",
        scope=Scope.COMMAND, verbs=frozenset({"run", "check", "ls", "health"}),
    ),
)  # fmt: skip

BY_NAME: Final = {option.name: option for option in OPTIONS}
