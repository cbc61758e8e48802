"""What the scaler is told: plain frozen values, already checked. Times are seconds (`_s`)."""

import enum

import msgspec

from secretary.core.settings import EtcdSettings, HostPort, LogSettings


class ProviderName(enum.Enum):
    """Who makes the machines of a group."""

    DOCKER = "docker"
    DIGITALOCEAN = "digitalocean"
    OPENSTACK = "openstack"


class Choice(enum.Enum):
    """Which machine goes first when one has to."""

    OLDEST = "oldest"
    LEAST_LOADED = "least-loaded"


class Metric(enum.Enum):
    """What is measured of each machine, or of all and divided by their number."""

    CPU = "cpu"
    """Percent of all its cores, from the provider."""
    REQUESTS = "requests"
    """A second, from HAProxy's stats."""
    SESSIONS = "sessions"
    """At the moment, from HAProxy's stats."""
    QUEUE = "queue"
    """Requests that wait, from HAProxy's stats."""
    PROMETHEUS = "prometheus"
    """Whatever a query answers."""


class MachineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine is made: what its provider is told. Empty where the provider's own will do."""

    image: str
    """Image, snapshot or slug. Empty for a group that nothing is said of: none can be made."""
    size: str = ""
    """Size or flavor."""
    region: str = ""
    network: str = ""
    ssh_keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Besides the one by which the group's machines are found."""
    user_data: str | None = None
    """Path of the template of what the machine is given at its start."""


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a group grows and shrinks. Thresholds are in the metric's own unit, per machine."""

    metric: Metric = Metric.CPU
    up_at: float = 70.0
    down_at: float = 10.0
    interval_s: float = 10.0
    """Time between two looks."""
    up_window_s: float = 60.0
    """The mean over this time is held against `up_at`."""
    up_cooldown_s: float = 60.0
    """After machines were added, none are added for so long."""
    down_window_s: float = 300.0
    """The highest value over this time is held against `down_at`."""
    up_step: int = 2
    """How many machines are added at once, at most."""
    down_step: int = 1
    """How many are removed at once, at most."""
    source: str = ""
    """URL of HAProxy's stats (CSV) or path of its socket; base URL of Prometheus."""
    query: str = ""
    """For Prometheus: one that answers with one number, the group's sum."""


class ScaleGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group of machines that are alike."""

    name: str
    service: str
    """Whose records the machines have."""
    provider: ProviderName
    machine: MachineSettings
    policy: PolicySettings | None = PolicySettings()
    """None: by hand only."""
    name_prefix: str = ""
    """What the machines' names begin with; the group's name, where it is empty."""
    min: int = 1
    max: int = 5
    port: int | None = None
    """Where the app is on its machine. Needed with `register`, and by Docker."""
    probe: str | None = None
    register: bool = False
    """Whether the machines have no secretary inside, so that one here is to run for each."""
    boot_timeout_s: float = 300.0
    drain_time_s: float = 10.0
    """For the connections that are open, after all renderers have applied the drain."""
    max_replacements: int = 3
    """An hour: of machines that did not come into service, or died."""
    max_unavailable: int = 1
    first: Choice = Choice.OLDEST


class ScaleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all groups."""

    groups: tuple[ScaleGroup, ...]
    etcd: EtcdSettings
    prefix: str
    status: HostPort | None
    log: LogSettings
