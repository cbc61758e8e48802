"""The units of deploy/units, and a balancer's, hold to the house's rules.

What systemd makes of them is tried on real hosts.
"""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from secretary.core.settings import RunSettings, ServiceSettings
from tests.unit.deploy.fleet import UnitFile, read

DEPLOY: Final = Path(__file__).parents[3] / "deploy"
UNITS: Final = DEPLOY / "units"
BALANCER: Final = "secretary-balancer.service"
FILES: Final = sorted([*UNITS.glob("*.service"), DEPLOY / "pacemaker/units" / BALANCER])
SECRETARIES: Final = [file for file in FILES if "/opt/secretary/bin/secretary" in file.read_text()]
AGENTS: Final = [
    file
    for file in SECRETARIES
    if file.name not in ("secretary-render.service", "secretary-scale.service")
]
SANDBOX: Final = {
    "LockPersonality": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "SystemCallArchitectures": "native",
}
PLACES: Final = (
    *("/bin/", "/usr/bin/", "/usr/sbin/", "/opt/secretary/bin/", "/dev/null"),
    *("/etc/environment", "/etc/secretary/", "/etc/nginx", "/etc/haproxy", "/etc/corosync"),
    *("/run/secretary-proxy", "/run/haproxy", "/var/lib/secretary", "/var/lib/nginx"),
    "/var/log/nginx",
)
"""What a unit may name of a host: what is there on each, or what our README has put there."""
SERVICE: Final = ServiceSettings(name="web", port=8080)
RUN: Final = RunSettings(services=(SERVICE,))

every_unit = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
every_secretary = pytest.mark.parametrize("file", SECRETARIES, ids=lambda file: file.name)
every_agent = pytest.mark.parametrize("file", AGENTS, ids=lambda file: file.name)


def service(unit: UnitFile, key: str) -> str:
    """Return what [Service] says of it; it must say something."""
    value = unit.last("Service", key)
    assert value is not None, f"{key}= is missing"
    return value


def seconds(unit: UnitFile, key: str) -> float:
    return float(service(unit, key).removesuffix("s"))


def test_the_units_are_there() -> None:
    assert {"app@.service", "secretary@.service", "proxy.service"} <= {file.name for file in FILES}
    assert len(AGENTS) == len(SECRETARIES) - 2 == 4


@every_unit
def test_a_unit_says_what_it_is_and_who_starts_it(file: Path) -> None:
    unit = read(file.read_text())
    assert file.read_text().startswith("# ")
    assert unit.last("Unit", "Description")
    assert unit.last("Install", "WantedBy")


@every_unit
def test_who_is_bound_to_another_starts_after_it_and_so_stops_before_it(file: Path) -> None:
    unit = read(file.read_text())
    after = " ".join(unit.all("Unit", "After")).split()
    for other in " ".join(unit.all("Unit", "BindsTo") + unit.all("Unit", "Requires")).split():
        assert other in after


@every_unit
def test_a_unit_names_no_place_that_only_one_machine_has(file: Path) -> None:
    """And no address; those are in the files of /etc/secretary."""
    unit = read(file.read_text())
    told = [value for _, value in unit.sections["Service"]]
    for value in told:
        for place in re.findall(r"(?<![\w}%])/[\w./-]+", value):
            assert f"{place}/".startswith(PLACES), place
        assert not re.search(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+", value), value


@every_unit
def test_a_unit_starts_without_any_of_our_files_or_its_readme_says_which_it_needs(
    file: Path,
) -> None:
    for given in read(file.read_text()).all("Service", "EnvironmentFile"):
        assert given.startswith("-") or given in (UNITS / "README.md").read_text()


@every_unit
def test_a_unit_that_is_restarted_gives_up_or_says_that_it_never_does(file: Path) -> None:
    unit = read(file.read_text())
    limited = unit.last("Unit", "StartLimitIntervalSec") and unit.last("Unit", "StartLimitBurst")
    assert limited or file.name == "etcd.service", "etcd has the limit of the system"


def test_a_secretary_is_not_given_up_before_its_app_is() -> None:
    """It is started with each start of the app."""
    app, secretary = (
        int(read((UNITS / name).read_text()).last("Unit", "StartLimitBurst") or 0)
        for name in ("app@.service", "app-secretary@.service")
    )
    assert 0 < app < secretary


@every_secretary
def test_a_secretary_is_ready_when_it_says_so_and_restarted_when_it_fails_or_hangs(
    file: Path,
) -> None:
    """A second try at wrong settings (2) would tell no more."""
    unit = read(file.read_text())
    assert service(unit, "Type") == "notify"
    if file.name == BALANCER:  # it is ended by a kill, which must not count as a failure
        assert service(unit, "Restart") == "always"
        assert service(unit, "RestartPreventExitStatus") == "0 2"
        assert service(unit, "KillSignal") == service(unit, "SuccessExitStatus") == "SIGKILL"
    else:
        assert service(unit, "Restart") == "on-failure"
        assert service(unit, "RestartPreventExitStatus") == "2"
    assert seconds(unit, "WatchdogSec") > 0
    assert service(unit, "WatchdogSignal") == "SIGKILL", "what hangs has nothing to say"


@every_secretary
def test_a_secretary_has_time_to_leave_in_order(file: Path) -> None:
    assert seconds(read(file.read_text()), "TimeoutStopSec") > RUN.drain_timeout_s + 5


@every_agent
def test_one_that_hangs_is_replaced_while_its_record_still_stands(file: Path) -> None:
    """A lease of 30 s is refreshed every 10 s: at worst 20 s of it are left."""
    unit = read(file.read_text())
    assert seconds(unit, "WatchdogSec") + seconds(unit, "RestartSec") < SERVICE.ttl_s * 2 / 3


@every_secretary
def test_a_secretary_is_given_no_more_than_it_needs(file: Path) -> None:
    """`systemd-analyze security` puts it in numbers, on a real host."""
    unit = read(file.read_text())
    assert {key: unit.last("Service", key) for key in SANDBOX} == SANDBOX
    assert unit.all("Service", "SystemCallFilter")[0] == "@system-service"


@every_agent
def test_an_agent_is_nobody_and_may_do_nothing_as_root(file: Path) -> None:
    unit = read(file.read_text())
    assert service(unit, "DynamicUser") == "yes"
    assert service(unit, "CapabilityBoundingSet") == ""


@every_agent
def test_what_is_said_of_one_app_comes_after_what_is_said_of_all(file: Path) -> None:
    """Of two files that set a variable the later one counts."""
    files = read(file.read_text()).all("Service", "EnvironmentFile")
    assert files[:2] == ["-/etc/environment", "-/etc/secretary/secretary.env"]
    assert len(files) == 3


@every_agent
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"SECRETARY_IP": "a", "COREOS_PRIVATE_IPV4": "b", "COREOS_PUBLIC_IPV4": "c"}, "a"),
        ({"COREOS_PRIVATE_IPV4": "b", "COREOS_PUBLIC_IPV4": "c"}, "b"),
        ({"COREOS_PUBLIC_IPV4": "c"}, "c"),
        ({}, "auto"),
    ],
)
def test_the_address_is_the_one_said_else_coreoss_private_else_its_public_one(
    file: Path, tmp_path: Path, given: dict[str, str], expected: str
) -> None:
    secretary = tmp_path / "secretary"
    secretary.write_text('#!/bin/sh\necho "${SECRETARY_IP:-auto} $*"\n')
    secretary.chmod(0o755)
    start = service(read(file.read_text()), "ExecStart").replace("$$", "$")
    command = shlex.split(start.replace("/opt/secretary/bin/secretary", str(secretary)))
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
    told = done.stdout.split()
    assert (told[told.index("--ip") + 1] if "--ip" in told else told[0]) == expected
