"""`secretary scale auto`, and what it says to whoever asks for something beside it."""

import signal
import threading
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from secretary.core.machine import Machine, MachineState
from secretary.core.scaling import PolicySettings
from secretary.devetcd import DevEtcd
from secretary.scaler.loop import GroupLoop
from secretary.scaler.samples import Sample
from secretary.store.kv import Delete, Put
from tests.secretaries import Secretary, run
from tests.system.scaling_bed import Bed, bed_in
from tests.waiting import stays, wait_for

NOWHERE = "tcp://127.0.0.1:1"


class Meter:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def measure(self, machines: Sequence[Machine], now_s: float) -> Sample:
        self.asked += 1
        return Sample.of_sum(now_s, 40.0, len(machines))

    def close(self) -> None:
        pass


def test_a_machine_that_is_slow_in_the_making_leaves_no_gap_in_what_is_measured(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secretary.scaler.calls.RENEW_S", 0.02)
    bed.up(1)
    bed.end()
    policy = PolicySettings(interval_s=0.02, up_window_s=0.1)
    bed.group = replace(bed.group, policy=policy)
    meter, ended = Meter(), threading.Event()
    with bed.scaler() as (engine, desk):
        loop = GroupLoop(bed.group, engine, desk, meter, None, None, ended.set)
        loop.start()
        try:
            wait_for(lambda: loop.decision is not None)
            with bed.cloud.hold("create"):
                desk.up(1)
                wait_for(lambda: bed.cloud.count("create") == 2)
                before = meter.asked
                wait_for(lambda: meter.asked > before + 10)
                assert "requested" in bed.states().values()
        finally:
            loop.stop()
            assert loop.join()
    assert ended.is_set()


@pytest.mark.parametrize(("quiet_s", "goes_on"), [(3600.0, True), (0.0, False)])
def test_a_cloud_is_not_asked_for_ever_for_what_does_not_move(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, quiet_s: float, goes_on: bool
) -> None:
    """It counts questions: what does not boot is looked at as seldom as what serves."""
    monkeypatch.setattr("secretary.scaler.loop.TURN_S", 0.01)
    monkeypatch.setattr("secretary.scaler.loop.QUIET_S", quiet_s)
    with bed.scaler() as (engine, desk):
        desk.up(1)
        loop = GroupLoop(bed.group, engine, desk, Meter(), None, None, lambda: None)
        loop.start()
        try:
            wait_for(lambda: bed.count(MachineState.BOOTING) == 1)
            asked = bed.cloud.count("machines")
            if goes_on:
                wait_for(lambda: bed.cloud.count("machines") > asked + 10)
            else:
                stays(lambda: bed.cloud.count("machines") <= asked + 2, for_s=1)
        finally:
            loop.stop()
            assert loop.join()


def test_a_group_that_waits_for_its_cloud_holds_up_no_other(
    bed: Bed, etcd: DevEtcd, prefix: str
) -> None:
    with bed_in(etcd, f"{prefix}b") as other, ExitStack() as stack:
        loops = []
        for each in (bed, other):
            engine, desk = stack.enter_context(each.scaler())
            by_hand = replace(each.group, policy=None)
            loops.append(GroupLoop(by_hand, engine, desk, Meter(), None, None, lambda: None))
        with bed.cloud.hold("machines"):
            for loop in loops:
                loop.start()
            try:
                wait_for(lambda: bed.cloud.count("machines") == 1)
                with other.scaler() as (_, desk):
                    desk.up(1)
                wait_for(lambda: other.count(MachineState.BOOTING) == 1)
                assert bed.cloud.count("machines") == 1
            finally:
                for loop in loops:
                    loop.stop()
        assert all(loop.join() for loop in loops)


def test_a_scaler_that_stands_by_acts_when_the_other_has_died(
    bed: Bed, etcd: DevEtcd, prefix: str, tmp_path: Path
) -> None:
    config = tmp_path / "scale.toml"
    config.write_text(f'[[group]]\nname = "{bed.group.name}"\nimage = "none"\nauto = false\n')
    given = ("auto", "--etcd", ",".join(etcd.urls), "--prefix", prefix, "--config", str(config))
    status = ("--status", "127.0.0.1:0")
    with Secretary(*given, *status, verb="scale", DOCKER_HOST=NOWHERE) as one:
        one.says("acting")
        with Secretary(*given, *status, verb="scale", DOCKER_HOST=NOWHERE) as two:
            two.says("standing by")
            one.process.kill()
            one.process.wait()
            held = bed.etcd.get(f"/secretary/locks/{bed.group.name}")
            assert held is not None
            bed.etcd.revoke(held.lease)  # as time would
            two.says("acting")
            assert two.stop() == 0


def test_groups_that_the_file_has_not_are_told_of_once(
    bed: Bed, etcd: DevEtcd, prefix: str, tmp_path: Path
) -> None:
    bed.up(1)
    config = tmp_path / "scale.toml"
    names = [f"g{uuid.uuid4().hex[:8]}" for _ in range(2)]
    config.write_text("".join(f'[[group]]\nname = "{each}"\nimage = "none"\n' for each in names))
    given = ("--etcd", ",".join(etcd.urls), "--prefix", prefix, "--config", str(config))
    auto = Secretary("auto", *given, "--status", "127.0.0.1:0", verb="scale", DOCKER_HOST=NOWHERE)
    with auto as scaler:
        told = f"{bed.group.name}: has machines in etcd, and is no group of the file"
        scaler.says(told)
        for name in names:
            scaler.says(f"{name}: acting")
        assert scaler.log.count(told) == 1
        flags = run("scale", "up", names[0], "--image", "other", *given, DOCKER_HOST=NOWHERE)
        assert flags.returncode == 1
        assert "--image: " in flags.stderr
        assert "leave the flags out" in flags.stderr
        assert scaler.stop() == 0


def test_a_key_that_holds_no_machine_is_told_of(bed: Bed) -> None:
    key = f"/secretary/machines/{bed.group.name}/web-x"
    bed.etcd.commit([], [Put(key, b"{}", 0)])
    try:
        assert any(key in alarm for alarm in bed.turn().alarms)
    finally:
        bed.etcd.commit([], [Delete(key)])


def test_a_verb_that_is_told_twice_to_end_lets_the_lock_go(
    bed: Bed, etcd: DevEtcd, prefix: str
) -> None:
    """As timeout(1) does: once the process, and once its group."""
    given = ("--etcd", ",".join(etcd.urls), "--prefix", prefix)
    up = Secretary(
        *("up", bed.group.name, "--image", "none", *given), verb="scale", DOCKER_HOST=NOWHERE
    )
    lock = f"/secretary/locks/{bed.group.name}"
    with up as verb:
        wait_for(lambda: bed.etcd.get(lock) is not None)
        wait_for(lambda: "no answer" in verb.log or "Docker" in verb.log)
        verb.process.send_signal(signal.SIGTERM)
        verb.says("not waited for")
        verb.process.send_signal(signal.SIGTERM)
        verb.process.wait(30)
    assert bed.etcd.get(lock) is None


def test_a_group_that_only_fails_is_left_alone_before_it_costs_more(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an image that is gone: what has failed leaves the group below its min."""
    monkeypatch.setattr("secretary.scaler.loop.TURN_S", 0.01)
    bed.cloud.quota = 0
    bed.group = replace(bed.group, max_replacements=2, policy=PolicySettings(interval_s=0.02))
    with bed.scaler() as (engine, desk):
        loop = GroupLoop(bed.group, engine, desk, Meter(), None, None, lambda: None)
        loop.start()
        try:
            wait_for(lambda: any("no more are asked for" in each for each in loop.report.alarms))
            asked, turns = bed.cloud.count("create"), bed.cloud.count("machines")
            wait_for(lambda: bed.cloud.count("machines") > turns + 10)
        finally:
            loop.stop()
            assert loop.join()
    assert bed.cloud.count("create") == asked == 3
