"""A secretary for machines that have none inside, on a real etcd, beside real apps."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from secretary.core.machine import Machine, MachineState
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.devetcd import DevEtcd
from secretary.scaler.registrar import Registrar
from tests.etcd_bed import WEB_PASSWORD, Etcdctl, Seen, settings_of
from tests.secretaries import IP
from tests.system.echo_app import EchoApp
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def group(port: int | None = None, probe: str | None = "/healthz") -> ScaleGroup:
    return ScaleGroup(
        name="web",
        service="web",
        provider=ProviderName.DOCKER,
        machine=MachineSettings(image="web"),
        port=port,
        probe=probe,
        register=True,
    )


def machine(app: EchoApp, *, own_port: bool = True) -> Machine:
    return Machine(
        id=f"web-{app.name}",
        group="web",
        provider="docker",
        state=MachineState.SERVING,
        requested=NOW,
        since=NOW,
        address=app.ip,
        port=app.port if own_port else None,
    )


@pytest.fixture
def registrar(etcd: DevEtcd, prefix: str) -> Iterator[Registrar]:
    registrar = Registrar(group(), settings_of(etcd), prefix)
    yield registrar
    registrar.close()


def children(of: int | None = None) -> list[psutil.Process]:
    """The secretaries that a process has started, this one if none is given."""
    found = []
    for process in psutil.Process(of).children():
        try:
            if "--config" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def taken_over(etcdctl: Etcdctl, key: str, before: Seen) -> Seen:
    """Wait until a record is under another lease; it must never be gone."""

    def is_taken() -> Seen | None:
        seen = etcdctl.get(key)
        assert seen is not None
        return seen if seen.lease != before.lease else None

    return wait_for(is_taken, timeout_s=30)


def test_machines_come_and_go_and_the_others_do_not_notice(
    registrar: Registrar, etcdctl: Etcdctl, prefix: str, one: EchoApp, two: EchoApp
) -> None:
    keys = {app: f"{prefix}/web/{IP}:{app.port}" for app in (one, two)}
    registrar.follow([machine(one)])
    first = wait_for(lambda: etcdctl.get(keys[one]))
    (child,) = children()

    registrar.follow([machine(two), machine(one)])
    second = wait_for(lambda: etcdctl.get(keys[two]))
    registrar.follow([machine(two)])
    wait_for(lambda: etcdctl.get(keys[one]) is None)
    assert etcdctl.get(keys[two]) == second
    assert second.create_revision > first.create_revision
    assert children() == [child]

    registrar.follow([])
    wait_for(lambda: etcdctl.get(keys[two]) is None)
    wait_for(lambda: not child.is_running())

    registrar.follow([machine(one)])
    wait_for(lambda: etcdctl.get(keys[one]))
    registrar.close()
    assert etcdctl.get(keys[one]) is None
    assert not children()


def test_a_change_while_it_starts_is_not_lost(
    registrar: Registrar, etcdctl: Etcdctl, prefix: str, one: EchoApp, two: EchoApp
) -> None:
    registrar.follow([machine(one)])
    (child,) = wait_for(children)
    registrar.follow([machine(two)])
    wait_for(lambda: etcdctl.get(f"{prefix}/web/{IP}:{two.port}"))
    wait_for(lambda: etcdctl.get(f"{prefix}/web/{IP}:{one.port}") is None)
    assert children() == [child]


def test_an_app_that_fails_is_out_until_it_is_well(
    registrar: Registrar, etcdctl: Etcdctl, prefix: str, one: EchoApp
) -> None:
    key = f"{prefix}/web/{IP}:{one.port}"
    registrar.follow([machine(one)])
    wait_for(lambda: etcdctl.get(key))
    one.failing.add("/healthz")
    wait_for(lambda: etcdctl.get(key) is None, timeout_s=20)
    one.failing.clear()
    wait_for(lambda: etcdctl.get(key), timeout_s=20)


def test_machines_with_addresses_of_their_own_are_known_by_these(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, one: EchoApp
) -> None:
    with EchoApp("two", "127.0.0.2", one.port) as two:
        registrar = Registrar(group(one.port, probe=None), settings_of(etcd), prefix)
        try:
            registrar.follow([machine(one, own_port=False), machine(two, own_port=False)])
            for app in (one, two):
                key = f"{prefix}/web/{app.ip}"
                wait_for(lambda key=key: etcdctl.get(key))  # type: ignore[misc]
        finally:
            registrar.close()


def test_a_secretary_that_is_killed_comes_back_and_nobody_notices(
    registrar: Registrar, etcdctl: Etcdctl, prefix: str, one: EchoApp
) -> None:
    key = f"{prefix}/web/{IP}:{one.port}"
    registrar.follow([machine(one)])
    before = wait_for(lambda: etcdctl.get(key))
    (child,) = children()
    child.kill()
    seen = taken_over(etcdctl, key, before)
    assert seen.create_revision == before.create_revision


_SCALER = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from secretary.core.settings import EtcdSettings, HostPort
from secretary.scaler.registrar import Registrar
from tests.system.test_registrar import group, machine
from tests.system.echo_app import EchoApp

etcd = EtcdSettings(endpoints=(HostPort("127.0.0.1", int(sys.argv[2])),))
registrar = Registrar(group(), etcd, sys.argv[3], ttl_s=int(sys.argv[5]))
registrar.follow([machine(EchoApp("one", port=int(sys.argv[4])))])
threading.Event().wait()
"""
"""A process that has a registrar, and does nothing else."""


@contextmanager
def scaler(
    etcd: DevEtcd, prefix: str, app: EchoApp, directory: Path, ttl_s: int
) -> Iterator[subprocess.Popen[bytes]]:
    (endpoint,) = settings_of(etcd).endpoints
    given = (ROOT, endpoint.port, prefix, app.port, ttl_s)
    process = subprocess.Popen(
        [sys.executable, "-c", _SCALER, *map(str, given)],
        env={**os.environ, "TMPDIR": str(directory)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_it_ends_with_a_scaler_that_is_killed_and_its_records_expire(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, one: EchoApp, tmp_path: Path
) -> None:
    key = f"{prefix}/web/{IP}:{one.port}"
    with scaler(etcd, prefix, one, tmp_path, ttl_s=5) as killed:
        wait_for(lambda: etcdctl.get(key))
        (child,) = children(killed.pid)
        killed.kill()
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
        assert etcdctl.get(key) is not None
        wait_for(lambda: etcdctl.get(key) is None)


def test_the_next_scaler_takes_over_what_a_killed_one_left(
    etcd: DevEtcd,
    registrar: Registrar,
    etcdctl: Etcdctl,
    prefix: str,
    one: EchoApp,
    tmp_path: Path,
) -> None:
    key = f"{prefix}/web/{IP}:{one.port}"
    with scaler(etcd, prefix, one, tmp_path, ttl_s=60) as killed:
        before = wait_for(lambda: etcdctl.get(key))
        killed.kill()
        killed.wait()
    registrar.follow([machine(one)])
    seen = taken_over(etcdctl, key, before)
    assert seen.create_revision == before.create_revision


def test_a_scaler_that_is_to_come_back_leaves_the_records_as_they_are(
    etcd: DevEtcd, registrar: Registrar, etcdctl: Etcdctl, prefix: str, one: EchoApp
) -> None:
    key = f"{prefix}/web/{IP}:{one.port}"
    first = Registrar(group(), settings_of(etcd), prefix)
    try:
        first.follow([machine(one)])
        before = wait_for(lambda: etcdctl.get(key))
    finally:
        first.close(withdraw=False)
    assert not children()
    assert etcdctl.get(key) == before
    registrar.follow([machine(one)])
    assert taken_over(etcdctl, key, before).create_revision == before.create_revision


def test_who_comes_to_be_tied_after_the_end_of_its_parent_does_not_run() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    tie = (sys.executable, "-m", "secretary.scaler.tied", str(ended.pid))
    late = subprocess.run(
        [*tie, sys.executable, "-c", "print('runs')"], capture_output=True, cwd=ROOT, check=False
    )
    assert (late.returncode, late.stdout, late.stderr) == (0, b"", b"")


def test_one_address_that_cannot_be_meant_keeps_nobody_else_out(
    registrar: Registrar, etcdctl: Etcdctl, prefix: str, one: EchoApp
) -> None:
    nowhere = EchoApp("none", "0.0.0.0", 80)
    registrar.follow([machine(nowhere), machine(one)])
    wait_for(lambda: etcdctl.get(f"{prefix}/web/{IP}:{one.port}"))


def test_etcds_password_is_passed_on_by_its_file(
    auth_etcd: DevEtcd, prefix: str, one: EchoApp, tmp_path: Path
) -> None:
    file = tmp_path / "a password"
    file.write_text(WEB_PASSWORD)
    etcdctl = Etcdctl(auth_etcd.urls, ("web", WEB_PASSWORD))
    settings = settings_of(auth_etcd, user="web", password_file=str(file))
    registrar = Registrar(group(), settings, prefix)
    try:
        registrar.follow([machine(one)])
        wait_for(lambda: etcdctl.get(f"{prefix}/web/{IP}:{one.port}"))
        (child,) = children()
        assert WEB_PASSWORD not in str(child.cmdline()) + str(child.environ())
    finally:
        registrar.close()


def test_what_is_meant_for_the_scaler_does_not_reach_it(
    registrar: Registrar, monkeypatch: pytest.MonkeyPatch, one: EchoApp
) -> None:
    kept_out = ("SECRETARY_STATUS", "NOTIFY_SOCKET", "DIGITALOCEAN_TOKEN", "OS_PASSWORD")
    for name in kept_out:
        monkeypatch.setenv(name, "127.0.0.1:1")
    registrar.follow([machine(one)])
    (child,) = wait_for(children)
    assert not set(kept_out) & child.environ().keys()
