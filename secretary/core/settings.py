"""What the programs are told: plain frozen values, already checked.

Times are seconds (`_s`). Where the values come from, and how a wrong one is refused,
is the business of `resolve.py` and `services.py`.
"""

import enum
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from secretary.core.given import Layer


class KeyBy(enum.Enum):
    """What the last part of a record's key is."""

    IP = "ip"
    IP_PORT = "ip-port"
    ID = "id"


class LogFormat(enum.Enum):
    TEXT = "text"
    JSON = "json"


class LogLevel(enum.Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Builtin(enum.Enum):
    """The templates that come along."""

    NGINX = "nginx"
    HAPROXY = "haproxy"


class Advertise(enum.Enum):
    """Under which address a container's service is published."""

    CONTAINER = "container"
    """Its own, in one of its networks."""
    HOST = "host"
    """The host's, with the port that the host passes on."""


class HostPort(msgspec.Struct, frozen=True):
    """A host (name or address, IPv6 without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class StatusRange(msgspec.Struct, frozen=True):
    """HTTP statuses from `low` to `high`, both included."""

    low: int
    high: int


class ProbeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One probe: what to ask, and what counts as an answer.

    `target` is `http://…`, `https://…`, `tcp://host:port`, `exec:command args…` or `docker`;
    without a host, as `/path` or `tcp://:port`, it leads to the app (see `target.located`).
    `timeout_s` is a total deadline: name resolution, connect, TLS, headers and body.
    """

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    expect_status: tuple[StatusRange, ...] = (StatusRange(200, 399),)
    expect_body: str | None = None
    timeout_s: float = 1.0
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None
    insecure: bool = False
    server_name: str | None = None


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """How often a probe runs and how many results make a verdict."""

    interval_s: float = 2.0
    fast_interval_s: float = 0.5
    rise: int = 2
    fall: int = 3
    grace_s: float = 0.0


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One app and its record. `ip` is as given: an address, `iface:…`, a CIDR or `auto`."""

    name: str
    port: int
    ip: str = "auto"
    probe: ProbeSettings | None = None
    """None: a TCP connection to where the app is, within `timeout_s`."""
    probe_at: HostPort | None = None
    """Where the app is for a probe that names no host; None: the record's own address and port."""
    timeout_s: float = 1.0
    rhythm: Rhythm = Rhythm()
    ttl_s: int = 30
    prefix: str = "/services"
    key_by: KeyBy = KeyBy.IP
    tags: tuple[str, ...] = ()
    weight: int = 100
    meta: tuple[tuple[str, str], ...] = ()


class ContainerRules(msgspec.Struct, frozen=True, kw_only=True):
    """Which containers have services, and what is said of these apart from their labels.

    `ref` is a name, an id or its first twelve digits, or `self`; None: every container that has
    labels for us, and with `auto` every one that has a published port. What stands in `above` wins
    over a label, a label over what stands in `below`. `own` are the options given for this alone.
    """

    ref: str | None
    auto: bool = False
    above: tuple[Layer, ...] = ()
    below: tuple[Layer, ...] = ()
    own: frozenset[str] = frozenset()


class EtcdSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where etcd is and how to be let in. Paths are read at each (re)connection."""

    endpoints: tuple[HostPort, ...] = (HostPort("127.0.0.1", 2379),)
    secure: bool = False
    user: str | None = None
    password_file: str | None = None
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    format: LogFormat = LogFormat.TEXT
    level: LogLevel = LogLevel.INFO


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that `secretary run` and `host` need. `status` is None when it is off."""

    services: tuple[ServiceSettings, ...] = ()
    containers: tuple[ContainerRules, ...] = ()
    etcd: EtcdSettings = EtcdSettings()
    drain_timeout_s: float = 10.0
    status: HostPort | None = HostPort("127.0.0.1", 9180)
    log: LogSettings = LogSettings()


class CommandReload(msgspec.Struct, frozen=True):
    """Run a command; no shell."""

    arguments: tuple[str, ...]


class SignalReload(msgspec.Struct, frozen=True):
    """Send a signal (`HUP`) to the process whose id is in a file."""

    signal: str
    pidfile: str


class DockerReload(msgspec.Struct, frozen=True):
    """Send a signal (`HUP`) to a container's first process, through the Docker socket."""

    container: str
    signal: str


class SystemdReload(msgspec.Struct, frozen=True):
    """`systemctl reload` a unit."""

    unit: str


Reload: TypeAlias = CommandReload | SignalReload | DockerReload | SystemdReload


class Owner(msgspec.Struct, frozen=True):
    """Whose a file is to be: names or numbers."""

    user: str
    group: str | None = None


class TemplateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One template and the file that is made of it.

    `template` is the path of a source; without it, the source is that of `builtin`. With both, the
    source is understood as the built-in one would be: its vars, its quoting, its check.
    `check_cmd` are the words of a command in which `{staged}` stands for the file to be checked.
    """

    dest: str
    builtin: Builtin | None = None
    template: str | None = None
    mode: int | None = None
    """Permission bits; None: as they are, 0644 for a new file."""
    owner: Owner | None = None
    check_cmd: tuple[str, ...] | None = None
    """None: the one that goes with a built-in, where its program is installed."""
    services: tuple[str, ...] = ()
    """The services that it gets to see; all when empty."""
    vars: Mapping[str, str] = {}


class GroupSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Templates that are checked, put in place and taken up together."""

    templates: tuple[TemplateSettings, ...]
    reload: Reload | None = None
    pidfile: str | None = None
    """Holds the id of the proxy's master, so that its taking over can be watched."""
    runtime: str | None = None
    """HAProxy's admin socket."""
    reload_timeout_s: float = 10.0
    check_timeout_s: float = 10.0
    settle_s: float = 0.2

    @property
    def name(self) -> str:
        return self.templates[0].dest


class PaceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How changes are gathered, and how often what failed is tried again."""

    min_wait_s: float = 0.2
    max_wait_s: float = 2.0
    reload_gap_s: float = 1.0
    retry_s: float = 1.0
    max_retry_s: float = 5.0
    """A proxy that was down and is back is brought up to date within this time."""


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What may be lost at once. `max_loss` is a share, 0 to 1."""

    max_loss: float = 0.5
    hold_s: float = 60.0
    min_instances: Mapping[str, int] = {}


class RenderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that `secretary render` needs."""

    groups: tuple[GroupSettings, ...]
    etcd: EtcdSettings = EtcdSettings()
    prefix: str = "/services"
    id: str | None = None
    state: str | None = None
    resync_s: float = 60.0
    pace: PaceSettings = PaceSettings()
    guard: GuardSettings = GuardSettings()
    status: HostPort | None = HostPort("127.0.0.1", 9181)
    log: LogSettings = LogSettings()
