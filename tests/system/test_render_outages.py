"""etcd dies, freezes and forgets; the proxy keeps what it has, and is right soon after.

A promised time is asserted with a margin on top, for machines that do other work.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd, Member
from tests.backends import three
from tests.etcd_bed import Etcdctl, restart_empty
from tests.records import Records, records_in
from tests.system.dest_bed import Dest
from tests.waiting import stays, wait_for

RIGHT_S = 2.0
"""How soon after etcd's return the configuration is right."""
MARGIN_S = 3.0
SILENT_S = 4.0
"""A silent member is asked after 2 s, and given up after as long again."""
ONE, TWO, THREE, FOUR, FIVE = (f"127.0.2.{number}:9" for number in range(1, 6))


@pytest.fixture
def dest(tmp_path: Path) -> Dest:
    return Dest(tmp_path / "sites.conf")


@pytest.fixture
def records(own_etcd: DevEtcd, prefix: str) -> Iterator[Records]:
    with records_in(own_etcd, prefix) as records:
        yield records


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Print how long it took."""
    began_s = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began_s:.2f} s")  # noqa: T201 - the measured value


# Away


@pytest.mark.parametrize(
    ("how", "back", "outage_s"),
    [
        (Member.kill, Member.start, 3),
        # As long as was promised: longer than the wait between two attempts ever grows, and a
        # look at everything (--resync) falls due meanwhile.
        (Member.kill, Member.start, 60),
        (Member.freeze, Member.thaw, 3),
    ],
    ids=["killed for 3 s", "killed for 60 s", "frozen for 3 s"],
)
def test_an_etcd_that_is_away_changes_nothing(
    own_etcd: DevEtcd,
    own_etcdctl: Etcdctl,
    records: Records,
    prefix: str,
    dest: Dest,
    how: Callable[[Member], None],
    back: Callable[[Member], None],
    outage_s: float,
) -> None:
    (member,) = own_etcd.members
    records.put(ONE, TWO, THREE)
    with dest.renderer(own_etcd, prefix) as renderer:
        dest.holds(ONE, TWO, THREE)
        before = dest.path.read_bytes()
        with dest.never_empty():
            how(member)
            renderer.says("trying again until it answers")
            stays(lambda: dest.is_as(before), for_s=outage_s)
            assert renderer.page("/livez")[0] == 200
            status, said = renderer.page("/readyz")
            assert status == 200, "the proxies are right all the same"
            assert "etcd" in said
            back(member)
            member.wait_ready()
            with measured("right after etcd's return"):
                own_etcdctl.delete(records.key(ONE))
                records.put(FOUR)
                dest.holds(TWO, THREE, FOUR, timeout_s=RIGHT_S + MARGIN_S)
        wait_for(lambda: renderer.told()["etcd"] == "ok")
        # One for each of the records, the drains and the renderer's own word.
        assert len(renderer.complaints) <= 3


def test_what_changed_while_the_renderer_could_not_look_is_not_lost(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, records: Records, prefix: str, dest: Dest
) -> None:
    """Its watch breaks, and what it has missed is compacted away before it watches again."""
    (member,) = own_etcd.members
    records.put(ONE, TWO, THREE)
    with dest.renderer(own_etcd, prefix) as renderer:
        dest.holds(ONE, TWO, THREE)
        with dest.never_empty():
            renderer.process.send_signal(signal.SIGSTOP)
            member.kill()
            member.start()
            member.wait_ready()
            own_etcdctl.delete(records.key(ONE))
            own_etcdctl.put("elsewhere", b"written later")
            own_etcdctl.compact(own_etcdctl.revision())
            renderer.process.send_signal(signal.SIGCONT)
            with measured("right after the renderer's return"):
                dest.holds(TWO, THREE, timeout_s=RIGHT_S + MARGIN_S)
            records.put(FOUR)
            dest.holds(TWO, THREE, FOUR)


def test_a_frozen_member_is_left_for_another(cluster: DevEtcd, prefix: str, dest: Dest) -> None:
    """Every member in turn, so whichever the renderer watches: nobody's silence is believed."""
    with records_in(cluster, prefix) as records, dest.renderer(cluster, prefix) as renderer:
        records.put(ONE, TWO)
        dest.holds(ONE, TWO)
        known = [ONE, TWO]
        with dest.never_empty():
            for member, addr in zip(cluster.members, (THREE, FOUR, FIVE), strict=True):
                known.append(addr)
                member.freeze()
                with measured("from a change to the file, a member being frozen"):
                    records.put(addr)
                    dest.holds(*known, timeout_s=SILENT_S + RIGHT_S + MARGIN_S)
                member.thaw()
                wait_for(member.serves)
            # What the thawed ones still owe takes nothing back.
            stays(lambda: dest.servers.keys() == set(known), for_s=0.5)
        assert renderer.page("/livez")[0] == 200


# Forgetting


def test_an_etcd_that_has_forgotten_everything_takes_no_server_away(
    own_etcd: DevEtcd, prefix: str, tmp_path: Path, dest: Dest
) -> None:
    """The apps are there all the time, and their secretaries come back by and by."""
    with three(own_etcd.urls, prefix, tmp_path) as backends:
        addrs = [backend.addr for backend in backends]
        with dest.renderer(own_etcd, prefix) as renderer:
            dest.holds(*addrs)
            late = [backend.secretary.process for backend in backends[:2]]
            for process in late:
                process.send_signal(signal.SIGSTOP)
            restart_empty(own_etcd.members[0])
            renderer.says("too many records went at once")
            stays(lambda: dest.servers.keys() == set(addrs), for_s=3)
            for process in late:
                process.send_signal(signal.SIGCONT)
            wait_for(lambda: not renderer.told()["held"], what="nothing was kept any more")
            dest.holds(*addrs)
            assert renderer.told()["services"]["web"]["stale"] == []
            backends[0].secretary.stop()
            dest.holds(*addrs[1:])


def test_an_etcd_that_was_made_anew_is_known_by_more_than_its_revision(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, records: Records, prefix: str, dest: Dest
) -> None:
    """It has gone beyond where the renderer was before the renderer looks again."""
    records.put(ONE, TWO)
    with dest.renderer(own_etcd, prefix) as renderer:
        dest.holds(ONE, TWO)
        renderer.settles()
        seen = own_etcdctl.revision()
        renderer.process.send_signal(signal.SIGSTOP)
        restart_empty(own_etcd.members[0])
        records.put(THREE)
        while records.put(FOUR) < seen + 20:
            pass
        with dest.never_empty():
            renderer.process.send_signal(signal.SIGCONT)
            # Nobody answers at the other two.
            dest.holds(THREE, FOUR, timeout_s=RIGHT_S + MARGIN_S)


# The renderer starts while etcd is away


def test_a_renderer_that_is_restarted_without_etcd_keeps_the_configuration(
    own_etcd: DevEtcd,
    own_etcdctl: Etcdctl,
    records: Records,
    prefix: str,
    dest: Dest,
    tmp_path: Path,
) -> None:
    """What an operator has drained stays drained."""
    (member,) = own_etcd.members
    state = ("--state", str(tmp_path / "state.json"))
    own_etcdctl.put("/secretary/drain/web/127.0.2.1", b"")
    records.put(ONE, TWO, THREE)
    with dest.renderer(own_etcd, prefix, *state) as renderer:
        dest.holds(TWO, THREE)
        assert renderer.stop() == 0
    before = dest.path.read_bytes()
    member.kill()
    with dest.never_empty(), dest.renderer(own_etcd, prefix, *state) as renderer:
        renderer.says("going on with what was remembered")
        renderer.settles()
        assert dest.is_as(before)
        renderer.stop(signal.SIGKILL)
    dest.path.unlink()
    with dest.renderer(own_etcd, prefix, *state):
        dest.holds(TWO, THREE)
        assert dest.is_as(before)
        with dest.never_empty():
            member.start()
            member.wait_ready()
            with measured("right after etcd's return"):
                records.put(FOUR)
                dest.holds(TWO, THREE, FOUR, timeout_s=RIGHT_S + MARGIN_S)


def test_a_renderer_that_knows_nothing_touches_nothing(
    own_etcd: DevEtcd, records: Records, prefix: str, dest: Dest
) -> None:
    (member,) = own_etcd.members
    records.put(ONE, TWO)
    member.kill()
    before = b"# by hand\n    server 127.0.2.9:9 weight=1;\n"
    dest.path.write_bytes(before)
    with dest.renderer(own_etcd, prefix) as renderer:
        renderer.says("trying again until it answers")
        stays(lambda: dest.is_as(before), for_s=4)
        assert renderer.page("/livez")[0] == 200
        assert renderer.page("/readyz")[0] == 503
        with dest.never_empty():
            member.start()
            member.wait_ready()
            with measured("right after etcd's return"):
                dest.holds(ONE, TWO, timeout_s=RIGHT_S + MARGIN_S)
        wait_for(lambda: renderer.page("/readyz")[0] == 200)
