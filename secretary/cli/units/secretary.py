"""The text of a secretary's unit. All that is given to it has been judged by now."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from secretary.cli.units.syntax import environment, shell
from secretary.core.options import BY_NAME

PROGRAM: Final = "/opt/secretary/bin/secretary"
MOST_WATCHDOG_S: Final = 10.0

SANDBOX: Final = """\
DynamicUser=yes
CapabilityBoundingSet=
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0077
"""
"""The same for every secretary."""

IN_GENERAL: Final[Mapping[str, str]] = {"key-by": "ip-port", "status": "off"}
IN_DOCKER: Final[Mapping[str, str]] = {"probe": "/", **IN_GENERAL}
"""What a unit says of an option of which nothing else was said."""

_WHY: Final[Mapping[str, str]] = {
    "probe": "Docker accepts connections even for an app that does not: ask for an answer.",
    "key-by": "Several on one host have a record each; a file below may say ip.",
    "status": "One address cannot serve several of them: each one's own file may give it its own.",
}

_ADDRESS: Final = (
    'export SECRETARY_IP="${SECRETARY_IP:-${COREOS_PRIVATE_IPV4:-$COREOS_PUBLIC_IPV4}}"'
)


@dataclass(frozen=True, slots=True)
class Said:
    """What was said to one secretary: lines of its unit, and flags that no variable can carry.

    `unsaid` are the options of which the unit speaks by itself, and what it says.
    """

    lines: Sequence[str]
    unsaid: Mapping[str, str]
    flags: Sequence[str] = ()
    program: str = PROGRAM
    watchdog_s: float = MOST_WATCHDOG_S


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secretary stands: beside which unit, called what, with which file of settings."""

    intro: str
    of: str
    app: str
    file: str
    port: str


def beside_instance(name: str) -> Place:
    """Return the place beside one's own app, whose instances are ports."""
    return Place(
        intro=f"# The secretary of {name}@PORT.",
        of=f"{name} on port %i",
        app=f"{name}@%i.service",
        file=f"{name}-%i",
        port=" --port %i",
    )


def beside_unit(unit: str) -> Place:
    """Return the place beside a unit that there is."""
    return Place(
        intro=f"# The secretary of {unit}.",
        of=unit.removesuffix(".service"),
        app=unit,
        file=unit.removesuffix(".service"),
        port="",
    )


ANY_UNIT: Final = Place(
    intro="""\
# The secretary of an app that is a systemd unit itself: secretary@shop is that of shop.service,
# secretary@web@8080 that of web@8080.service. Its settings stand in /etc/secretary/shop.env; the
# port is needed, and of an instance such as web@8080 the name (SECRETARY_NAME=web); else it is the
# unit's.""",
    of="%i",
    app="%i.service",
    file="%i",
    port="",
)


def secretary(place: Place, said: Said) -> str:
    """Return the unit of a secretary."""
    lines = "".join(f"{line}\n" for line in said.lines)
    defaults = "".join(
        f"# {_WHY[name]}\n{environment(BY_NAME[name].variable, text)}\n"
        for name, text in said.unsaid.items()
    )
    exports, program = shell(_ADDRESS), shell(shlex.quote(said.program))
    flags = "".join(f" {shell(shlex.quote(flag))}" for flag in said.flags)
    return f"""\
{place.intro}
# It is started after the app and stopped before it, so that the record is gone, and every proxy
# knows, before the app goes. The app's death ends it at once.

[Unit]
Description=secretary of {place.of}
BindsTo={place.app}
After={place.app}
# What it needs to leave in order must end after it, where it runs here.
Wants=network-online.target
After=network-online.target etcd.service docker.service
# More than the app may do in that time, so that an app that crashes never leaves it behind.
StartLimitIntervalSec=60
StartLimitBurst=40

[Service]
Type=notify
{lines}{defaults}\
# What these files say wins. CoreOS keeps COREOS_PRIVATE_IPV4 and COREOS_PUBLIC_IPV4 in the first.
EnvironmentFile=-/etc/environment
EnvironmentFile=-/etc/secretary/secretary.env
EnvironmentFile=-/etc/secretary/{place.file}.env
# The address to publish: what is said, else what CoreOS says, else that of the route to etcd.
ExecStart=/bin/sh -c '{exports}; exec {program} run{place.port}{flags}'
SyslogIdentifier=secretary
ExecReload=/bin/kill -HUP $MAINPID
# A secretary that hangs is killed, and its successor takes the record over while its lease still
# runs: this and the restart must take less than two thirds of --ttl.
WatchdogSec={said.watchdog_s:g}
WatchdogSignal=SIGKILL
Restart=on-failure
RestartSec=1
# Wrong settings stay wrong.
RestartPreventExitStatus=2
KillMode=mixed
# A longer --drain-timeout extends it by itself.
TimeoutStopSec=20

# What it may do: connect, listen on loopback, and read what everybody may read. A file that only
# root may read, such as a password, is handed in: LoadCredential=password:/etc/secretary/password
# and Environment=SECRETARY_ETCD_PASSWORD_FILE=%d/password, in a drop-in.
{SANDBOX}
[Install]
WantedBy={place.app}

[X-Fleet]
MachineOf={place.app}
"""
