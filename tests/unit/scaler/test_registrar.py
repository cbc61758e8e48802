"""What a secretary for machines is told, and how it is kept running."""

import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core import settings_file as files
from secretary.core.resolve import resolve
from secretary.core.settings import (
    EtcdSettings,
    HostPort,
    KeyBy,
    LogFormat,
    LogLevel,
    LogSettings,
    RunSettings,
)
from secretary.scaler.registrar.child import Child
from secretary.scaler.registrar.keeper import Keeper
from secretary.scaler.registrar.services import Common, places, settings_file
from tests.unit.scaler.machines import group, machine
from tests.waiting import wait_for

PLAIN = Common(EtcdSettings(), "/services", LogSettings(), 30)


def understood(text: str | None) -> RunSettings:
    """What `secretary run` makes of it."""
    assert text is not None
    return resolve({}, {}, files.parse("machines.toml", text.encode())).settings


def test_each_machine_is_a_service() -> None:
    web = group(port=8080, probe="/healthz")
    found = places(web, [machine(2, "fd00::2"), machine(1, "10.0.0.1")]).found
    services = understood(settings_file(web, PLAIN, found)).services
    assert [(s.name, s.ip, s.port, s.key_by) for s in services] == [
        ("web", "10.0.0.1", 8080, KeyBy.IP),
        ("web", "fd00::2", 8080, KeyBy.IP),
    ]
    assert [s.probe.target if s.probe else None for s in services] == ["/healthz", "/healthz"]


def test_without_a_probe_a_connection_is_enough() -> None:
    web = group(port=80)
    (service,) = understood(settings_file(web, PLAIN, places(web, [machine()]).found)).services
    assert service.probe is None


def test_machines_that_share_an_address_are_told_apart_by_their_ports() -> None:
    web = group(port=8080)
    machines = [machine(1, "10.0.0.1", port=30001), machine(2, "10.0.0.1", port=30002)]
    services = understood(settings_file(web, PLAIN, places(web, machines).found)).services
    assert [(s.port, s.key_by) for s in services] == [
        (30001, KeyBy.IP_PORT),
        (30002, KeyBy.IP_PORT),
    ]


def test_what_one_is_called_does_not_depend_on_who_else_is_there() -> None:
    """A record whose key changed would be gone for a moment."""
    web = group(port=8080)
    first, second = (machine(n, "10.0.0.1", port=30000 + n) for n in (1, 2))
    assert places(web, [first]).found < places(web, [second, first]).found


def test_two_machines_at_one_place_are_one_service() -> None:
    """As when a cloud gives the address of one that goes to one that comes."""
    web = group(port=80)
    found = places(web, [machine(1), machine(2)]).found
    assert len(understood(settings_file(web, PLAIN, found)).services) == 1


def test_a_machine_without_an_address_is_waited_for() -> None:
    found = places(group(port=80), [machine(1, None)])
    assert not found.found
    assert not found.wrong
    assert settings_file(group(port=80), PLAIN, found.found) is None


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "224.0.0.1", "auto", "10.0.0.0/8", "fe80::1%eth0", "web\n[x]", ""]
)
def test_what_is_no_address_is_told_and_left_out(address: str) -> None:
    found = places(group(port=80), [machine(1, address), machine(2, "10.0.0.2")])
    assert [place.ip for place in found.found] == ["10.0.0.2"]
    (wrong,) = found.wrong
    assert wrong.startswith("web-1: no app can be at the address")
    assert wrong.isprintable()


def test_a_machine_whose_port_nobody_knows_is_told_and_left_out() -> None:
    found = places(group(), [machine(1)])
    assert not found.found
    assert found.wrong == {"web-1: its port is not known: give the group's port"}


def test_it_is_told_of_etcd_as_we_were() -> None:
    etcd = EtcdSettings(
        endpoints=(HostPort("etcd.example", 2379), HostPort("fd00::1", 2380)),
        secure=True,
        user="web",
        password_file='/etc/secretary/a "password"',
        cacert="/etc/ca.pem",
        cert="/etc/cert.pem",
        key="/etc/key.pem",
    )
    log = LogSettings(format=LogFormat.JSON, level=LogLevel.DEBUG)
    web = group(port=80)
    text = settings_file(web, Common(etcd, "/a/b", log, 7), places(web, [machine()]).found)
    settings = understood(text)
    assert settings.etcd == etcd
    assert settings.log == log
    assert settings.status is None
    assert [(s.prefix, s.ttl_s) for s in settings.services] == [("/a/b", 7)]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whatever_a_path_holds_it_is_the_same_on_the_other_side(path: str) -> None:
    web = group(port=80)
    common = Common(EtcdSettings(user="web", password_file=path), "/services", LogSettings(), 30)
    text = settings_file(web, common, places(web, [machine()]).found)
    assert text is not None
    assert files.toml("machines.toml", text.encode())["etcd-password-file"] == path


def test_one_that_ends_by_itself_is_started_again_after_a_while(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    keeper = Keeper("web")
    try:
        with caplog.at_level(logging.WARNING):
            keeper.want("nonsense")
            wait_for(lambda: len(caplog.messages) == 2)
    finally:
        keeper.close(withdraw=True)
    what = "the secretary for web's machines ended with status 2; again in "
    assert caplog.messages == [f"{what}1 s", f"{what}2 s"]
    assert "not TOML" in capfd.readouterr().err


def test_a_keeper_that_is_closed_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError

    keeper = Keeper("web")
    keeper.close(withdraw=True)
    monkeypatch.setattr("subprocess.Popen", fail)
    keeper.want("nonsense")
    keeper.close(withdraw=True)


def test_one_that_hangs_is_killed_in_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "machines.toml"
    web = group(port=80)
    text = settings_file(web, PLAIN, places(web, [machine()]).found)
    file.write_text(text or "")
    child = Child(file)
    try:
        wait_for(child.reread)
        os.kill(child.pid, signal.SIGSTOP)
    finally:
        child.end(0.2)
    assert child.status() == -signal.SIGKILL
    assert caplog.messages == ["the secretary for machines did not end in 0.2 s: killed"]
