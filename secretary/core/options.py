"""Every option, once: flags, environment variables, file keys and docs/options.md come from here.

Only says what there is. Which source wins is `resolve.py`'s business.
"""

from collections.abc import Hashable
from functools import partial
from typing import Any, Final

from secretary.core import addresses, render_values, values
from secretary.core.option import Many, Option, Scope
from secretary.core.settings import Advertise, Builtin, HostPort, KeyBy, LogFormat, LogLevel
from secretary.core.target import TARGET
from secretary.core.values import duration, whole


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


_ALL: Final = frozenset({"run", "check", "host", "ls", "render", "scale"})
_RENDER: Final = frozenset({"render"})
_LONG_RUNNING: Final = _ALL - {"ls"}
_one = partial(Option, scope=Scope.SERVICE, verbs=frozenset({"run", "check"}))
_service = partial(Option, scope=Scope.SERVICE, verbs=frozenset({"run", "check", "host"}))
_process = partial(Option, scope=Scope.PROCESS)
_template = partial(Option, scope=Scope.TEMPLATE, verbs=_RENDER)
_group = partial(Option, scope=Scope.GROUP, verbs=_RENDER)
_render = partial(Option, scope=Scope.PROCESS, verbs=_RENDER)

OPTIONS: Final[tuple[Option, ...]] = (
    _one("name", values.NAME, "Name of the service."),
    _one("port", values.PORT, "Port on which the app can be reached."),
    _one(
        "container", values.CONTAINER,
        "Container in which the app is: name, port, address and probe are taken from its labels"
        " and networks.",
    ),
    _service(
        "advertise", values.choice(Advertise),
        "Where a container's service is published: at the container's own address, or at the"
        " host's with the port that it passes on.", "container", own_defaults={"host": "host"},
    ),
    _service(
        "network", values.TEXT,
        "Network whose address is the container's, when it is in several.",
    ),
    _service(
        "ip", addresses.IP,
        "Address to publish; auto is the source address of the route to etcd.", "auto",
    ),
    _service(
        "probe", TARGET,
        "What to ask for the app's health; without it, a TCP connection to the app's address"
        " and port.",
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
        own_defaults={"host": "5s"},  # a container that has just begun does not listen yet
    ),
    _service(
        "ttl", duration("2s", "24h", whole=True),
        "Life of the record after the last sign of the secretary's.", "30s",
    ),
    _service(
        "prefix", values.PREFIX, "Where in etcd the records stand.", "/services", verbs=_ALL
    ),
    _service(
        "key-by", values.choice(KeyBy), "What the last part of a record's key is.", "ip",
        own_defaults={"host": "ip-port"},
    ),
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
        "http://127.0.0.1:2379", many=Many(",", collect=_one_scheme), verbs=_ALL,
    ),
    _process("etcd-user", values.TEXT, "User of etcd.", verbs=_ALL),
    _process("etcd-password-file", values.PATH, "File that holds the password.", verbs=_ALL),
    _process(
        "etcd-cacert", values.PATH, "CA certificates that etcd is checked by (PEM).",
        verbs=_ALL,
    ),
    _process("etcd-cert", values.PATH, "Client certificate for etcd (PEM).", verbs=_ALL),
    _process("etcd-key", values.PATH, "Key of that client certificate (PEM).", verbs=_ALL),
    _process(
        "drain-timeout", duration("0s", "1h"), "Longest time that a graceful stop takes.", "10s",
        verbs=frozenset({"run", "check", "host"}),
    ),
    _process(
        "auto", values.SWITCH,
        "Publish every container that has a published port, labelled or not.", "false",
        verbs=frozenset({"host"}),
    ),
    _process(
        "status", addresses.STATUS_ADDRESS, "Where the status server listens.", "127.0.0.1:9180",
        verbs=_LONG_RUNNING | {"health"},
        own_defaults={"render": "127.0.0.1:9181", "scale": "127.0.0.1:9182"},
    ),
    _process(
        "log-format", values.choice(LogFormat), "How log lines are written.", "text",
        verbs=_LONG_RUNNING,
    ),
    _process(
        "log-level", values.choice(LogLevel), "The least important lines to write.", "info",
        verbs=_LONG_RUNNING,
    ),
    _template("builtin", values.choice(Builtin), "The template to use, of those that come along."),
    _template(
        "template", values.PATH,
        "The template to use, a file of one's own (Jinja2); with --builtin, in place of its.",
    ),
    _template("dest", values.PATH, "The file to keep right."),
    _template(
        "mode", render_values.MODE, "Permissions of the file; without it, those it has, or 0644."
    ),
    _template("owner", render_values.OWNER, "Owner of the file; without it, the one it has."),
    _template(
        "check-cmd", render_values.CHECK,
        "Command that checks a configuration before it is put in place: {staged} is the file,"
        " {wrapped} a main configuration of nginx that includes it; off for none. Without it,"
        " what goes with the built-in, where its program is installed.",
    ),
    _template(
        "only", values.NAME, "Service that the template gets to see; without it, all.",
        many=Many(",", collect=_distinct),
    ),
    _template(
        "var", render_values.VAR, "Free key and value for the template.",
        many=Many("\n", whole=True, joint="=", collect=_distinct_keys),
    ),
    _group(
        "reload", render_values.RELOAD,
        "How the proxy is made to take it up; without it, not at all.",
    ),
    _group(
        "pidfile", values.PATH,
        "File that holds the id of the proxy's main process, so that its taking over is seen.",
    ),
    _group(
        "runtime", values.PATH,
        "HAProxy's admin socket: servers come, go and change through it, without reloads.",
    ),
    _group("reload-timeout", duration("100ms", "10m"), "Deadline of a reload.", "10s"),
    _group("check-timeout", duration("100ms", "10m"), "Deadline of a check.", "10s"),
    _group(
        "settle", duration("0s", "1m"),
        "Time after a reload until it counts, where the taking over cannot be seen.", "200ms",
    ),
    _render(
        "min-wait", duration("0s", "1m"),
        "Changes that follow one another more quickly are gathered; the first is published at"
        " once.", "200ms",
    ),
    _render("max-wait", duration("0s", "10m"), "Longest time that changes are gathered.", "2s"),
    _render("reload-gap", duration("0s", "10m"), "Least time between two reloads.", "1s"),
    _render(
        "resync", duration("1s", "24h"),
        "Time between full looks at etcd and the proxies; up to 10 % more or less.", "60s",
    ),
    _render(
        "max-loss", render_values.PERCENT,
        "Share of a service of four or more that may vanish at once; of what goes beyond, those"
        " that still answer are kept for a while.", "50%",
    ),
    _render("hold", duration("0s", "1h"), "Longest time that they are kept.", "60s"),
    _render(
        "min-instances", render_values.FLOOR,
        "Instances of a service that are never gone below: the last ones known are kept.",
        many=Many(",", joint="=", collect=_distinct_keys),
    ),
    _render(
        "state", values.PATH,
        "File that remembers the last good records for a start while etcd is away; without it,"
        " one in /var/lib/secretary; off for none.",
    ),
    _render(
        "id", values.NAME,
        "Name of this renderer under /secretary/renderers/; without it, made of the host's name"
        " and the destinations.",
    ),
    Option(
        "config", values.PATH,
        "TOML file; its keys are the options' names, its [[service]] tables the services, its"
        " [[template]] and [[group]] tables what to render.",
        scope=Scope.COMMAND, verbs=_ALL | {"health"},
    ),
)  # fmt: skip

BY_NAME: Final = {option.name: option for option in OPTIONS}
