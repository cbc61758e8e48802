"""What people do to the directory by hand: by mistake, and on purpose."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd
from tests.apps import App
from tests.etcd_bed import Etcdctl
from tests.records import Records, records_in
from tests.secretaries import IP
from tests.system.dest_bed import Dest
from tests.waiting import stays, wait_for

ONE, TWO = "127.0.2.1:9", "127.0.2.2:9"
HOLD_S = 6.0
MARGIN_S = 3.0


@pytest.fixture
def dest(tmp_path: Path) -> Dest:
    return Dest(tmp_path / "sites.conf")


@pytest.fixture
def records(etcd: DevEtcd, prefix: str) -> Iterator[Records]:
    with records_in(etcd, prefix) as records:
        yield records


@pytest.fixture
def apps() -> Iterator[list[App]]:
    """Six, alive."""
    with ExitStack() as stack:
        yield [stack.enter_context(App()) for _ in range(6)]


def addrs_of(apps: list[App]) -> list[str]:
    return [f"{IP}:{app.port}" for app in apps]


def test_a_careless_deletion_keeps_those_that_answer(
    etcd: DevEtcd, records: Records, prefix: str, dest: Dest, apps: list[App]
) -> None:
    """Of six, five are deleted: two of them are dead and go at once, the others stay a while."""
    addrs = addrs_of(apps)
    records.put(*addrs)
    with dest.renderer(etcd, prefix, "--hold", f"{HOLD_S:g}s") as renderer:
        dest.holds(*addrs)
        for app in apps[:2]:
            app.crash()
        stays(lambda: dest.servers.keys() == set(addrs), for_s=0.5)
        deleted_s = time.monotonic()
        records.delete(*addrs[:5])
        dest.holds(*addrs[2:], timeout_s=2 + MARGIN_S)
        assert renderer.log.count("too many records went at once") == 1
        assert renderer.metric("alarms_total") == 1
        assert renderer.metric("held") == 3
        told = renderer.told()
        assert set(told["services"]["web"]["stale"]) == set(addrs[2:5])
        assert set(told["held"]) == {records.key(addr) for addr in addrs[2:5]}

        apps[2].crash()
        dest.holds(*addrs[3:], timeout_s=2 + MARGIN_S)
        records.put(addrs[3])
        wait_for(lambda: renderer.told()["services"]["web"]["stale"] == [addrs[4]])
        dest.holds(addrs[3], addrs[5], timeout_s=HOLD_S + MARGIN_S)
        assert time.monotonic() - deleted_s >= HOLD_S
        assert renderer.metric("held") == 0


def test_a_restart_does_not_let_go_of_those_that_are_kept(
    etcd: DevEtcd, records: Records, prefix: str, dest: Dest, apps: list[App], tmp_path: Path
) -> None:
    addrs, state = addrs_of(apps), ("--state", str(tmp_path / "state.json"))
    records.put(*addrs)
    with dest.renderer(etcd, prefix, *state) as renderer:
        dest.holds(*addrs)
        with dest.never_empty():
            records.delete(*addrs)
            wait_for(lambda: renderer.metric("held") == len(addrs))
            assert renderer.stop() == 0
            with dest.renderer(etcd, prefix, *state) as renderer:
                wait_for(lambda: renderer.metric("held") == len(addrs))
                stays(lambda: dest.servers.keys() == set(addrs), for_s=1)


def test_an_operators_word_takes_an_instance_out_of_rotation(
    etcd: DevEtcd, etcdctl: Etcdctl, records: Records, prefix: str, dest: Dest
) -> None:
    name = f"web{prefix.strip('/')}"  # a drain's key knows no prefix
    drain = f"/secretary/drain/{name}/127.0.2.1"
    with dest.renderer(etcd, prefix):
        records.put(ONE, TWO, name=name)
        dest.holds(ONE, TWO)
        etcdctl.put(drain, b"")
        try:
            dest.holds(TWO)
        finally:
            etcdctl.delete(drain)
        dest.holds(ONE, TWO)
