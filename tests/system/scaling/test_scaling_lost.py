"""What a scaler that was overtaken, misled or looked away must not do."""

import threading

import pytest
from msgspec.structs import replace

from secretary.core.errors import CloudAway, CloudBusy, CloudRefused
from secretary.core.machine import MachineState
from secretary.scaler.missed import MISSED_S
from secretary.store.inventory import Inventory, Lock
from secretary.store.kv import Delete, Put
from secretary.store.turns import Turns
from tests.system.scaling_bed import Bed

SERVING = MachineState.SERVING


def test_who_has_lost_the_lock_unawares_can_write_nothing(bed: Bed) -> None:
    bed.up(1)
    lock = Lock(bed.etcd, bed.group.name, 60)
    inventory = Inventory(bed.etcd, bed.group.name, lock)
    turns = Turns(bed.etcd, bed.prefix, "web", lock)
    assert lock.hold("now")
    bed.etcd.commit([], [Put(lock.key, b"{}", 0)])  # another's by now
    ((machine, revision),) = inventory.stock().machines.values()
    assert inventory.change(replace(machine, reason="changed"), revision) is None
    assert not inventory.remove(machine, revision, drain=None)
    turns.drain("10.9.9.9")
    assert bed.stock()[machine.id] == machine
    assert bed.etcd.get("/secretary/drain/web/10.9.9.9") is None
    lock.release()
    bed.etcd.commit([], [Delete(lock.key)])


def test_a_list_that_outlives_the_lock_is_acted_on_by_nobody(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bed.scaler() as (engine, desk):
        desk.up(1)
        assert engine.hold()
        lock = f"/secretary/locks/{bed.group.name}"
        held = bed.etcd.get(lock)
        assert held is not None
        real = bed.cloud.begin

        def begin(call: str, about: str) -> BaseException | None:
            if call == "machines":
                bed.etcd.commit([], [Put(lock, b'{"host": "other"}', 0)])
            return real(call, about)

        monkeypatch.setattr(bed.cloud, "begin", begin)
        assert any("lock was lost" in alarm for alarm in engine.turn().alarms)
        bed.etcd.commit([], [Delete(lock)])
    assert bed.cloud.count("create") == 0


def test_the_drain_of_a_machine_that_has_the_address_of_a_failed_one_stays(bed: Bed) -> None:
    bed.up(3)
    old, *_, new = sorted(bed.stock())
    address = bed.stock()[old].address or ""
    bed.cloud.spoil(old)
    bed.deregister(address)
    bed.turns_until(lambda: not bed.cloud.named(old) and bed.count(SERVING) == 3)
    assert bed.states()[old] == "failed"
    bed.cloud.move(new, address or "")
    bed.turns_until(lambda: bed.stock()[new].address == address)
    drain = f"/secretary/drain/web/{address}"
    bed.etcd.commit([], [Put(drain, b"", 0)])  # an operator's
    bed.pass_s(3600)
    bed.turn()
    assert old not in bed.states()
    assert bed.etcd.get(drain) is not None
    bed.etcd.commit([], [Delete(drain)])


def test_one_that_is_gone_does_not_live_by_the_record_of_who_has_its_address(bed: Bed) -> None:
    bed.up(3)
    gone, *_, new = sorted(bed.stock())
    address = bed.stock()[gone].address
    bed.cloud.vanish(gone)
    bed.cloud.move(new, address or "")
    bed.pass_s(60)
    bed.turns_until(lambda: gone not in bed.states())


def test_one_that_a_list_skips_stays_in_the_inventory(bed: Bed) -> None:
    bed.up(2)
    skipped = sorted(bed.stock())[0]
    bed.deregister(bed.stock()[skipped].address or "")
    bed.cloud.machines[bed.cloud.named(skipped)[0]].is_listed = False
    for _ in range(5):
        bed.pass_s(60)
        bed.turn()
    assert skipped in bed.states()


@pytest.mark.parametrize(
    "word",
    [
        b'{"prefix": "%s", "applied": 9000000000, "drain_applied": 0}',
        b'{"prefix": "%s", "applied": 9000000000, "drain_applied": 9000000000,'
        b' "quarantined": ["web"]}',
    ],
    ids=["is behind", "holds the service back"],
)
def test_a_drain_that_is_set_anew_is_acknowledged_anew(bed: Bed, word: bytes) -> None:
    """Somebody deletes its key after it was acknowledged, and a renderer has come since."""
    bed.up(3)
    with bed.scaler() as (_, desk):
        (name,) = desk.down(None)
    drain = f"/secretary/drain/web/{bed.stock()[name].address}"
    bed.turns_until(lambda: bed.stock()[name].drained is not None)
    bed.etcd.commit([], [Delete(drain)])
    renderer = f"/secretary/renderers/{bed.prefix.strip('/')}"
    bed.etcd.commit([], [Put(renderer, word % bed.prefix.encode(), 0)])
    try:
        for _ in range(8):
            bed.pass_s(bed.group.drain_time_s)
            bed.turn()
        assert bed.cloud.named(name)
        assert bed.states()[name] == "draining"
    finally:
        bed.etcd.commit([], [Delete(renderer), Delete(drain)])


def test_renderers_of_another_prefix_are_not_waited_for(bed: Bed) -> None:
    other = "/secretary/renderers/of-another"
    bed.etcd.commit([], [Put(other, b'{"prefix": "/elsewhere", "applied": 0}', 0)])
    try:
        bed.up(1)
    finally:
        bed.etcd.commit([], [Delete(other)])


def test_a_record_of_who_had_the_address_before_is_not_the_machine_s_own(bed: Bed) -> None:
    bed.records.put("10.9.0.2:80")  # of one that died, until its lease ends
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
    bed.turn()
    bed.turn()
    assert bed.stock()[name].address == "10.9.0.2"
    bed.turn()
    assert bed.states() == {name: "booting"}
    with bed.scaler() as (_, desk):
        assert [row.word.value for row in desk.machines().rows] == ["absent"]
    bed.register()
    bed.turn()
    assert bed.states() == {name: "serving"}


def test_one_that_was_forgotten_stays_so_however_late_the_lists_show_it(bed: Bed) -> None:
    bed.up(2)
    first = sorted(bed.stock())[0]
    id_ = bed.cloud.named(first)[0]
    with bed.scaler() as (_, desk):
        desk.forget(first)
    bed.cloud.machines[id_].tags.add(f"secretary-{bed.group.name}")  # the list lags behind
    for _ in range(3):
        assert not bed.turn().alarms
        bed.pass_s(60)
    assert first not in bed.states()
    with bed.scaler() as (_, desk):
        desk.adopt(first)
    bed.turns_until(lambda: bed.states().get(first) == "serving")
    assert not bed.inventory().forgotten


def test_an_operator_s_drain_outlives_that_its_machine_is_kept(bed: Bed) -> None:
    bed.up(2)
    with bed.scaler() as (_, desk):
        (going,) = desk.down(None)
    (other,) = set(bed.stock()) - {going}
    drain = f"/secretary/drain/web/{bed.stock()[going].address}"
    bed.etcd.commit([], [Put(drain, b"", 0)])  # an operator's
    bed.cloud.spoil(other)
    bed.deregister(bed.stock()[other].address or "")
    bed.turn()
    report = bed.turn()
    assert any(f"{going}: an operator's drain keeps it out" in each for each in report.alarms)
    assert bed.etcd.get(drain) is not None
    bed.etcd.commit([], [Delete(drain)])


def test_a_lost_request_that_is_taken_back_leaves_nothing_behind(bed: Bed) -> None:
    """The machine was made all the same, and no list shows it before the drain is long over."""
    bed.up(1)
    bed.cloud.is_lagging = True
    bed.cloud.fail("create", CloudAway("no answer"), is_applied=True)
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
        bed.turns_until(lambda: bed.stock()[name].trouble != "")
        desk.down(name)
    bed.jump_s(7200)
    for _ in range(4):
        bed.turn()
        bed.pass_s(60)
    assert bed.states()[name] == "failed"
    bed.cloud.list_all()
    bed.turns_until(lambda: not bed.cloud.named(name))
    bed.pass_s(3600)
    bed.turns_until(lambda: name not in bed.states())


def test_a_lost_request_is_not_forgotten_while_the_cloud_has_a_machine_of_its_name(
    bed: Bed,
) -> None:
    bed.up(1)
    bed.cloud.fail("create", CloudAway("no answer"))
    with bed.scaler() as (_, desk):
        (name,) = desk.up(1)
    bed.turns_until(lambda: bed.states()[name] == "failed", each_s=30)
    bed.cloud.make(name)  # without its tag
    bed.jump_s(7200)
    bed.turns_until(lambda: not bed.cloud.named(name))
    bed.turns_until(lambda: name not in bed.states())


def test_two_that_change_addresses_before_one_leaves_are_told_apart(bed: Bed) -> None:
    bed.up(2)
    first, second = sorted(bed.stock())
    here, there = bed.stock()[first].address or "", bed.stock()[second].address or ""
    bed.cloud.move(first, there)
    bed.cloud.move(second, here)
    with bed.scaler() as (_, desk):
        desk.down(first)
    drains: set[str] = set()

    def gone() -> bool:
        drains.update(
            each for each in (here, there) if bed.etcd.get(f"/secretary/drain/web/{each}")
        )
        return not bed.cloud.named(first)

    bed.turns_until(gone)
    assert drains == {there}
    bed.deregister(there)
    bed.turns_until(lambda: first not in bed.states())
    assert bed.states()[second] == "serving"


def test_one_that_has_failed_and_serves_again_is_not_cut_off(bed: Bed) -> None:
    """Its deletion was refused for a while, and its record is back."""
    bed.up(2)
    failed = sorted(bed.stock())[0]
    address = bed.stock()[failed].address or ""
    bed.cloud.spoil(failed)
    bed.deregister(address)
    bed.cloud.fail("delete", CloudRefused("it is locked"), times=2)
    bed.turns_until(lambda: bed.states()[failed] == "failed" and bed.count(SERVING) == 2)
    bed.records.put(f"{address}:80")
    drain = f"/secretary/drain/web/{address}"
    bed.turns_until(lambda: bed.etcd.get(drain) is not None)
    assert bed.cloud.named(failed)
    bed.turns_until(lambda: failed not in bed.states())
    assert not bed.cloud.named(failed)
    assert bed.etcd.get(drain) is None


def test_a_cloud_that_is_busy_is_not_asked_for_each_that_has_gone(bed: Bed) -> None:
    bed.up(4)
    for gone in sorted(bed.stock())[:3]:
        bed.deregister(bed.stock()[gone].address or "")
        bed.cloud.vanish(gone)
    bed.pass_s(60)
    bed.cloud.fail("find", CloudBusy("too many", 600), times=9)
    bed.turn()
    bed.pass_s(300)
    bed.turn()
    assert bed.cloud.count("find") == 1
    bed.cloud.mend()
    bed.pass_s(300)
    bed.turns_until(lambda: len(bed.stock()) == 1)


def test_others_get_their_turn_while_it_is_asked_whether_one_is_gone(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secretary.scaler.calls.RENEW_S", 0.02)
    bed.up(2)
    bed.end()
    gone = sorted(bed.stock())[0]
    bed.deregister(bed.stock()[gone].address or "")
    bed.cloud.vanish(gone)
    called = threading.Event()
    with bed.scaler() as (engine, _):
        engine.turn()
        bed.pass_s(60)
        with bed.cloud.hold("find"):
            turn = threading.Thread(target=engine.turn, args=(called.set,))
            turn.start()
            assert called.wait(20)
            assert gone in bed.states()
        turn.join()
    assert gone not in bed.states()


def test_a_renderer_that_falls_silent_is_waited_for_before_a_machine_is_deleted(bed: Bed) -> None:
    """It is hung or cut off, and its proxy still sends requests by what it had applied."""
    renderer = f"/secretary/renderers/{bed.prefix.strip('/')}"
    word = b'{"prefix": "%s", "applied": 9000000000, "drain_applied": 0}' % bed.prefix.encode()
    bed.up(3)
    bed.etcd.commit([], [Put(renderer, word, 0)])
    bed.turn()
    with bed.scaler() as (_, desk):
        (name,) = desk.down(None)
    bed.etcd.commit([], [Delete(renderer)])  # its lease has ended
    alarms: list[str] = []
    for _ in range(int(MISSED_S / 30) - 1):
        alarms += bed.turn().alarms
        bed.register()
        bed.pass_s(30)
    assert bed.cloud.named(name)
    assert any("its drain is not applied by every renderer" in alarm for alarm in alarms)
    bed.turns_until(lambda: not bed.cloud.named(name), each_s=30)
    bed.turns_until(lambda: name not in bed.states())


def test_a_renderer_that_falls_silent_and_comes_back_is_waited_for_no_more(bed: Bed) -> None:
    renderer = f"/secretary/renderers/{bed.prefix.strip('/')}"
    word = b'{"prefix": "%s", "applied": 9000000000, "drain_applied": %d}'
    bed.up(3)
    bed.etcd.commit([], [Put(renderer, word % (bed.prefix.encode(), 0), 0)])
    bed.turn()
    with bed.scaler() as (_, desk):
        (name,) = desk.down(None)
    bed.etcd.commit([], [Delete(renderer)])
    drain = f"/secretary/drain/web/{bed.stock()[name].address}"
    bed.turns_until(lambda: bed.etcd.get(drain) is not None)
    bed.turn()
    assert bed.stock()[name].drained is None
    bed.etcd.commit([], [Put(renderer, word % (bed.prefix.encode(), 9000000000), 0)])
    bed.turn()
    assert bed.stock()[name].drained is not None
    bed.turns_until(lambda: name not in bed.states())
    bed.etcd.commit([], [Delete(renderer)])
