"""The units on a real systemd, when all goes wrong: what dies, hangs or is shut down under them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.etcd_bed import Etcdctl
from tests.system.etcd_watch import EtcdWatch
from tests.system.node import Node
from tests.system.units_bed import AppUnit
from tests.waiting import wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

TTL_S = 4
LATE_S = 4.0
"""By so much etcd and this machine may be late."""
DRAIN_S = 5


@contextmanager
def slow_renderer(etcdctl: Etcdctl) -> Iterator[None]:
    """Let there be a renderer that never takes up any change."""
    renderer = "/secretary/renderers/slow"
    etcdctl.put(renderer, json.dumps({"applied": 1}).encode())
    try:
        yield
    finally:
        etcdctl.delete(renderer)


def test_an_app_that_is_killed_loses_its_record_until_it_is_back(
    host: Node, app: AppUnit, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    """Again and again: both are started again by systemd."""
    app.start(etcdctl)
    since_s = time.monotonic()
    for _ in range(3):
        host.systemctl("kill", "--signal=KILL", app.app)
        gone = watch.gone(app.key, after_s=since_s)
        since_s = watch.back(app.key, after_s=gone.at_s).at_s
        wait_for(lambda: host.active(app.app, app.secretary))
    assert host.show(app.app, "NRestarts") == "3"


def test_an_app_that_dies_is_not_held_up_by_a_slow_renderer(
    host: Node, app: AppUnit, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    """Its restart waits until its secretary has left, which has nobody to wait for."""
    app.configure(DRAIN_TIMEOUT="60s")
    app.start(etcdctl)
    with slow_renderer(etcdctl):
        since_s = time.monotonic()
        host.systemctl("kill", "--signal=KILL", app.app)
        gone = watch.gone(app.key, after_s=since_s)
        watch.back(app.key, after_s=gone.at_s)
    assert "drain timeout" not in host.journal(app.secretary)


def test_a_secretary_that_starts_without_a_network_runs_and_waits_for_it(
    host: Node, app: AppUnit, etcdctl: Etcdctl
) -> None:
    app.start(etcdctl)
    host("ip", "link", "set", "host0", "down")
    try:
        host.systemctl("restart", app.secretary)
        assert host.active(app.secretary)
        wait_for(lambda: "no route to etcd" in host.show(app.secretary, "StatusText"))
    finally:
        host("ip", "link", "set", "host0", "up")
    app.registered(etcdctl)
    assert host.show(app.secretary, "NRestarts") == "0"


def test_what_leaves_before_etcd_does_not_wait_for_its_members_at_the_start(
    host: Node, app: AppUnit, etcdctl: Etcdctl
) -> None:
    """A host that boots while the others are away serves by what it knows."""
    nobody = "http://192.0.2.1:2380"
    host.write(
        "/etc/secretary/etcd.env",
        f"ETCD_NAME=one\nETCD_LISTEN_PEER_URLS=http://{host.ip}:2380\n"
        f"ETCD_INITIAL_ADVERTISE_PEER_URLS=http://{host.ip}:2380\n"
        f"ETCD_INITIAL_CLUSTER=one=http://{host.ip}:2380,two={nobody}\n",
    )
    try:
        host.systemctl("start", "etcd", app.app)
        app.registered(etcdctl)
        assert host.active("etcd")
    finally:
        host.systemctl("stop", "etcd")
        (host.disk / "etc/secretary/etcd.env").unlink()


def test_an_app_that_crashes_in_a_loop_keeps_its_secretary_until_it_is_given_up(
    host: Node, app: AppUnit, etcdctl: Etcdctl
) -> None:
    """systemd counts some of its starts twice: those that its secretary asks for, too."""
    app.drop_in(app.app, "[Unit]\nStartLimitIntervalSec=1h\n")  # however slow this machine is
    app.start(etcdctl)
    most = int(host.show(app.app, "StartLimitBurst"))

    def crash() -> None:
        """Let it crash, and wait until it runs again or never will."""
        pid = host.show(app.app, "MainPID")
        host.systemctl("kill", "--signal=KILL", app.app)
        wait_for(lambda: is_given_up() or host.show(app.app, "MainPID") not in {"0", pid})

    def is_given_up() -> bool:
        return host.show(app.app, "ActiveState") == "failed"

    for _ in range(most // 2 - 1):
        crash()
    wait_for(lambda: host.active(app.app, app.secretary))
    app.registered(etcdctl)
    for _ in range(most):
        if not is_given_up():
            crash()
    assert is_given_up()
    wait_for(lambda: host.show(app.secretary, "ActiveState") == "inactive")
    assert etcdctl.get(app.key) is None


def test_a_secretary_that_is_killed_is_started_again_and_no_client_sees_it(
    host: Node, app: AppUnit, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    before = app.start(etcdctl)
    host.systemctl("kill", "--signal=KILL", app.secretary)
    wait_for(
        lambda: (seen := etcdctl.get(app.key)) and seen.lease != before.lease,
        timeout_s=20,
        what="the next secretary had taken the record over",
    )
    assert (host.show(app.secretary, "NRestarts"), host.show(app.app, "NRestarts")) == ("1", "0")
    after = etcdctl.get(app.key)
    assert after is not None
    assert after.create_revision == before.create_revision
    assert all(change.is_up for change in watch.of(app.key))


def test_a_secretary_that_hangs_is_killed_and_started_again_and_no_client_sees_it(
    host: Node, app: AppUnit, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    before = app.start(etcdctl)
    host.systemctl("kill", "--signal=STOP", app.secretary)
    wait_for(
        lambda: (seen := etcdctl.get(app.key)) and seen.lease != before.lease,
        timeout_s=40,
        what="the next secretary had taken the record over",
    )
    assert "Failed with result 'watchdog'" in host.journal(app.secretary)
    assert (host.show(app.secretary, "NRestarts"), host.show(app.app, "NRestarts")) == ("1", "0")
    after = etcdctl.get(app.key)
    assert after is not None
    assert after.create_revision == before.create_revision
    assert all(change.is_up for change in watch.of(app.key))


def test_a_drain_may_take_longer_than_the_watchdog_and_the_stop(
    host: Node, app: AppUnit, etcdctl: Etcdctl
) -> None:
    """Here one for a renderer that never takes up any change."""
    app.drop_in(app.secretary, "[Service]\nWatchdogSec=2\nTimeoutStopSec=2\n")
    app.configure(DRAIN_TIMEOUT=f"{DRAIN_S}s")
    app.start(etcdctl)
    with slow_renderer(etcdctl):
        host.systemctl("stop", app.app)
    began_s = host.moment_s(app.secretary, "ActiveExit")
    took_s = host.moment_s(app.secretary, "ExecMainExit") - began_s
    assert DRAIN_S - 1 < took_s < DRAIN_S + LATE_S
    assert host.show(app.secretary, "Result") == "success"
    assert "drain timeout: not yet applied by" in host.journal(app.secretary)


def test_wrong_settings_are_said_in_one_line_and_not_tried_again(
    host: Node, app: AppUnit, etcdctl: Etcdctl
) -> None:
    app.configure(TTL="never")
    host.systemctl("start", app.app)
    wait_for(lambda: host.show(app.secretary, "ActiveState") == "failed")
    assert host.show(app.secretary, "ExecMainStatus") == "2"
    assert host.show(app.secretary, "NRestarts") == "0"
    said = host.systemctl("status", app.secretary, check=False)  # 3: it does not run
    (line,) = (line for line in said.splitlines() if "SECRETARY_TTL" in line)
    assert "never" in line
    assert host.active(app.app)  # it is no worse off for that
    app.configure(TTL="30s")
    host.systemctl("restart", app.secretary)
    app.registered(etcdctl)


# The host


def test_a_host_that_is_shut_down_takes_its_records_first(
    host: Node, app: AppUnit, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    """And when it is booted again, all that is enabled is back by itself."""
    app.start(etcdctl)
    since_s = time.monotonic()
    host.power_off()
    off_s = time.monotonic()
    try:
        gone = watch.gone(app.key, after_s=since_s)
        app_ended_s = app.ended_at() - time.time() + time.monotonic()
        assert gone.at_s < app_ended_s < off_s
    finally:
        host.boot()
    watch.back(app.key, after_s=off_s)
    wait_for(lambda: host.active(app.app, app.secretary))


def test_a_host_that_dies_leaves_its_record_until_the_ttl(
    host: Node, app: AppUnit, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    app.configure(TTL=f"{TTL_S}s")
    app.start(etcdctl)
    since_s = time.monotonic()
    host.kill()
    try:
        took_s = watch.gone(app.key, after_s=since_s).at_s - since_s
    finally:
        host.boot()
    # The last sign of life was up to a third of the TTL ago.
    assert TTL_S * 2 / 3 - 0.5 < took_s < TTL_S + LATE_S
    app.registered(etcdctl)


def test_a_host_that_is_cut_off_is_out_at_the_ttl_and_back_with_its_cable(
    host: Node, app: AppUnit, etcdctl: Etcdctl, watch: EtcdWatch
) -> None:
    """Nothing on it is stopped or started again for that."""
    app.configure(TTL=f"{TTL_S}s")
    app.start(etcdctl)
    since_s = time.monotonic()
    host.unplug()
    try:
        gone_s = watch.gone(app.key, after_s=since_s).at_s
    finally:
        host.plug_in()
    back_s = watch.back(app.key, after_s=gone_s).at_s
    assert gone_s - since_s < TTL_S + LATE_S
    assert back_s - gone_s < TTL_S + LATE_S
    assert host.active(app.app, app.secretary)
    assert (host.show(app.secretary, "NRestarts"), host.show(app.app, "NRestarts")) == ("0", "0")
