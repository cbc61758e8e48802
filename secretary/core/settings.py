"""What the programs are told: plain frozen values, already checked.

Times are seconds (`_s`). Where the values come from, and how a wrong one is refused,
is the business of `resolve.py` and `services.py`.
"""

import enum

import msgspec


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

    `target` is `http://…`, `https://…`, `tcp://host:port` or `exec:command args…`.
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
    """None: a TCP connection to the record's own address and port, within `timeout_s`."""
    timeout_s: float = 1.0
    rhythm: Rhythm = Rhythm()
    ttl_s: int = 30
    prefix: str = "/services"
    key_by: KeyBy = KeyBy.IP
    tags: tuple[str, ...] = ()
    weight: int = 100
    meta: tuple[tuple[str, str], ...] = ()


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
    """All that `secretary run` needs. `status` is None when it is off."""

    services: tuple[ServiceSettings, ...]
    etcd: EtcdSettings = EtcdSettings()
    drain_timeout_s: float = 10.0
    status: HostPort | None = HostPort("127.0.0.1", 9180)
    log: LogSettings = LogSettings()
