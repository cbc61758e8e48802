"""The directory as its readers see it: nothing that changes is left out, whatever breaks."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from secretary.core.errors import Compacted
from secretary.core.settings import EtcdSettings
from secretary.core.snapshot import Snapshot
from secretary.devetcd import DevEtcd, Member
from secretary.store.etcd import Etcd
from secretary.store.follow import Following
from secretary.store.kv import Batch, Put
from secretary.store.registry import Registry
from secretary.store.watch import SILENCE_S
from tests.etcd_bed import ROOT_PASSWORD, Etcdctl, auth_etcd, restart_empty, settings_of
from tests.secretaries import environ
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(60)  # what never comes is waited for

NOTICED_S = 2 * SILENCE_S + 3
"""When a silent member has been found out and another asked, on a machine that does other work."""


@contextmanager
def connection(settings: EtcdSettings) -> Iterator[Etcd]:
    etcd = Etcd(settings)
    yield etcd
    etcd.close()


@contextmanager
def following(settings: EtcdSettings, prefix: str) -> Iterator[Iterator[Snapshot]]:
    """Snapshots, each made when it is asked for: what happens meanwhile waits, or is missed."""
    with connection(settings) as etcd:
        followed = Following(etcd, prefix, Snapshot())
        snapshots = iter(followed)
        yield snapshots
        followed.stop()
        list(snapshots)


def value(ip: str, weight: int = 100, **meta: str) -> bytes:
    fields = {
        "host": "node-1",
        "ipv4_addr": ip,
        "port": 80,
        "addr": f"{ip}:80",
        "name": "web",
        "id": "a",
        "weight": weight,
        "meta": meta,
        "state": "up",
        "since": "2026-01-01T00:00:00Z",
        "schema": 1,
    }
    return msgspec.json.encode(fields)


def key(prefix: str, ip: str) -> str:
    return f"{prefix}/web/{ip}"


def weights(snapshot: Snapshot) -> dict[str, int]:
    return {instance.ip: instance.weight for instance in snapshot.of("web")}


def until(snapshots: Iterator[Snapshot], expected: dict[str, int]) -> Snapshot:
    """Go on to the snapshot that says this; hold that none goes back in time."""
    revision = 0
    for snapshot in snapshots:
        assert snapshot.revision > revision
        revision = snapshot.revision
        if weights(snapshot) == expected:
            return snapshot
    raise AssertionError("the following ended")


def member_of(cluster: DevEtcd, etcd: Etcd) -> Member:
    return next(m for m in cluster.members if m.url.endswith(f":{etcd.member.port}"))


# Breaks


@pytest.mark.parametrize("how", [Member.kill, Member.freeze])
def test_no_change_is_lost_when_the_watched_member_is(
    cluster: DevEtcd, prefix: str, how: Callable[[Member], None]
) -> None:
    with connection(settings_of(cluster)) as etcd:
        followed = Following(etcd, prefix, Snapshot())
        snapshots = iter(followed)
        assert weights(next(snapshots)) == {}
        watched = member_of(cluster, etcd)
        etcdctl = Etcdctl([m.url for m in cluster.members if m is not watched])
        etcdctl.put(key(prefix, "10.0.0.1"), value("10.0.0.1"))
        assert weights(next(snapshots)) == {"10.0.0.1": 100}

        how(watched)
        lost_s = time.monotonic()
        cluster.leader()  # elected anew if it was the one that is lost
        etcdctl.put(key(prefix, "10.0.0.2"), value("10.0.0.2"))
        etcdctl.delete(key(prefix, "10.0.0.1"))
        etcdctl.put(key(prefix, "10.0.0.3"), value("10.0.0.3"))
        until(snapshots, {"10.0.0.2": 100, "10.0.0.3": 100})
        noticed_s = time.monotonic() - lost_s
        print(f"seen {noticed_s:.2f} s after the loss")  # noqa: T201 - the measured value
        assert noticed_s < NOTICED_S
        assert member_of(cluster, etcd) is not watched

        etcdctl.put(key(prefix, "10.0.0.3"), value("10.0.0.3", weight=1))
        until(snapshots, {"10.0.0.2": 100, "10.0.0.3": 1})
        followed.stop()
        assert list(snapshots) == []


def test_a_watch_shows_every_change_in_order_also_from_the_past(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    changes: list[tuple[str, bytes | None]] = []
    first = etcdctl.revision() + 1
    for number in range(6):
        changes.append((f"{prefix}/{number % 2}", str(number).encode()))
        etcdctl.put(f"{prefix}/{number % 2}", str(number).encode())
    changes.append((f"{prefix}/0", None))
    etcdctl.delete(f"{prefix}/0")

    def seen(revision: int) -> list[tuple[str, bytes | None]]:
        batches: list[Batch] = []
        with connection(settings_of(etcd)) as connected, connected.watch(prefix, revision) as watch:
            for batch in filter(None, watch):
                batches.append(batch)
                if batch.revision == first + len(changes) - 1:
                    break
        return [change for batch in batches for change in batch.changes]

    assert seen(first) == changes
    assert seen(first + 3) == changes[3:]


def test_a_cancelled_watch_ends(etcd: DevEtcd, prefix: str) -> None:
    with connection(settings_of(etcd)) as connected, connected.watch(prefix, 1) as watch:
        watch.cancel()
        watch.cancel()
        assert list(watch) == []


def test_a_quiet_watch_lives_on(etcd: DevEtcd, etcdctl: Etcdctl, prefix: str) -> None:
    """Nothing happens for longer than a silent member would be given."""
    with following(settings_of(etcd), prefix) as snapshots:
        assert weights(next(snapshots)) == {}
        quiet_until_s = time.monotonic() + 2 * SILENCE_S + 1
        wait_for(lambda: time.monotonic() > quiet_until_s)
        etcdctl.put(key(prefix, "10.0.0.1"), value("10.0.0.1"))
        assert weights(next(snapshots)) == {"10.0.0.1": 100}


def test_a_watch_from_before_a_compaction_says_so(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str
) -> None:
    for _ in range(3):
        own_etcdctl.put(prefix, b"1")
    own_etcdctl.compact(own_etcdctl.revision())
    with connection(settings_of(own_etcd)) as connected:  # noqa: SIM117
        with pytest.raises(Compacted), connected.watch(prefix, 2) as watch:
            next(iter(watch))


def test_a_compaction_behind_a_broken_watch_hides_nothing(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str
) -> None:
    (member,) = own_etcd.members
    for ip in ("10.0.0.1", "10.0.0.2"):
        own_etcdctl.put(key(prefix, ip), value(ip))
    with following(settings_of(own_etcd), prefix) as snapshots:
        assert weights(next(snapshots)) == {"10.0.0.1": 100, "10.0.0.2": 100}
        own_etcdctl.put(key(prefix, "10.0.0.2"), value("10.0.0.2", weight=1))
        assert weights(next(snapshots)) == {"10.0.0.1": 100, "10.0.0.2": 1}
        member.restart()
        own_etcdctl.delete(key(prefix, "10.0.0.1"))
        own_etcdctl.put(key(prefix, "10.0.0.3"), value("10.0.0.3"))
        own_etcdctl.compact(own_etcdctl.revision())
        # One look at the whole: what lay between is gone, and the deletion is seen all the same.
        assert weights(next(snapshots)) == {"10.0.0.2": 1, "10.0.0.3": 100}
        own_etcdctl.delete(key(prefix, "10.0.0.2"))
        assert weights(next(snapshots)) == {"10.0.0.3": 100}


def test_an_etcd_that_was_made_anew_is_listed_again(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str
) -> None:
    (member,) = own_etcd.members
    for weight in range(5):
        own_etcdctl.put(key(prefix, "10.0.0.1"), value("10.0.0.1", weight=weight))
    with following(settings_of(own_etcd), prefix) as snapshots:
        assert weights(next(snapshots)) == {"10.0.0.1": 4}
        restart_empty(member)
        own_etcdctl.put(key(prefix, "10.0.0.2"), value("10.0.0.2"))
        assert weights(next(snapshots)) == {"10.0.0.2": 100}
        own_etcdctl.put(key(prefix, "10.0.0.3"), value("10.0.0.3"))
        assert weights(next(snapshots)) == {"10.0.0.2": 100, "10.0.0.3": 100}


# What stands there


HOSTILE = {
    b"/web/\xff\xfe": b"\xff\x00 rubbish",
    b"/web/10.0.0.9": b"[" * 8000,
    b"/web/10.0.0.10": b"x" * 100_000,
    b"/web/10.0.0.11": b"",
    b"/web/": b"{}",
    b"//": b"null",
    b"/web/10.0.0.12\n2026-01-01 forged line": b'{"port": 1e400}',
}


def test_hostile_keys_and_values_do_not_disturb_the_others(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    raw = os.fsencode(prefix)
    etcdctl.put(key(prefix, "10.0.0.1"), value("10.0.0.1"))
    with following(settings_of(etcd), prefix) as snapshots:
        assert weights(next(snapshots)) == {"10.0.0.1": 100}
        for number, (name, content) in enumerate(HOSTILE.items(), start=1):
            etcdctl.put(os.fsdecode(raw + name), content)
            seen = next(snapshots)
            assert (weights(seen), len(seen.rejected)) == ({"10.0.0.1": 100}, number)
        etcdctl.put(key(prefix, "10.0.0.2"), value("10.0.0.2"))
        after = until(snapshots, {"10.0.0.1": 100, "10.0.0.2": 100})
    with connection(settings_of(etcd)) as connected:
        listed = Registry(connected).snapshot(prefix)
    assert (listed.instances, listed.rejected) == (after.instances, after.rejected)


def test_a_directory_of_more_than_4_mb_is_read(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str
) -> None:
    ips = [f"10.0.{number // 250}.{number % 250}" for number in range(600)]
    meta = {f"k{number}": "v" * 256 for number in range(29)}
    puts = [Put(key(prefix, ip), value(ip, 100, **meta), 0) for ip in ips]
    assert sum(len(put.value) for put in puts) > 4 * 1024 * 1024
    with connection(settings_of(own_etcd)) as connected:
        for start in range(0, len(puts), 100):
            connected.commit([], puts[start : start + 100])
        listed = Registry(connected).snapshot(prefix)
        assert len(listed.instances) == len(ips)
        assert not listed.rejected
    # The same as the backlog of a watch.
    with (
        connection(settings_of(own_etcd)) as connected,
        connected.watch(prefix, listed.revision - 5) as watch,
    ):
        seen = 0
        for batch in filter(None, watch):
            seen += len(batch.changes)
            if batch.revision == listed.revision:
                break
    assert seen == len(ips)


# `ls`


class Listing:
    """`secretary ls --watch` while entered."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._out = tempfile.NamedTemporaryFile(prefix="ls-", suffix=".out")  # noqa: SIM115

    def __enter__(self) -> "Listing":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "secretary", "ls", "--watch", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=subprocess.STDOUT,
            env=environ(),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)
        self._out.close()

    @property
    def said(self) -> str:
        return Path(self._out.name).read_text()

    def says(self, words: str, times: int = 1) -> None:
        wait_for(lambda: self.said.count(words) >= times, what=f"it said {words!r}: {self.said}")


def test_ls_follows_through_a_restart_of_etcd(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str
) -> None:
    (member,) = own_etcd.members
    with Listing("--etcd", own_etcd.urls[0], "--prefix", prefix) as listing:
        own_etcdctl.put(key(prefix, "10.0.0.1"), value("10.0.0.1"))
        listing.says("up      web 10.0.0.1:80")
        own_etcdctl.put(key(prefix, "10.0.0.1"), value("10.0.0.1", weight=7))
        listing.says("changed web 10.0.0.1:80 up weight=7")
        own_etcdctl.put(key(prefix, "rubbish"), b"rubbish")
        listing.says("rubbish")
        member.restart()
        own_etcdctl.delete(key(prefix, "10.0.0.1"))
        listing.says("gone    web 10.0.0.1:80")
        assert "Traceback" not in listing.said


def test_ls_outlives_its_tokens_and_reads_only_what_it_may(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("web-password")
    user = ("--etcd-user", "web", "--etcd-password-file", str(password))
    with auth_etcd("/guarded") as guarded:
        etcdctl = Etcdctl(guarded.urls, user=("root", ROOT_PASSWORD))
        url = ("--etcd", guarded.urls[0])
        with Listing(*url, "--prefix", "/guarded", *user) as denied:
            assert denied.process.wait(10) == 1
            assert "permission denied" in denied.said
            assert len(denied.said.splitlines()) == 1
        etcdctl("role", "grant-permission", "--prefix", "web", "read", "/guarded/")
        with Listing(*url, "--prefix", "/guarded", *user) as listing:
            for weight in range(1, 4):
                etcdctl.put(key("/guarded", "10.0.0.1"), value("10.0.0.1", weight=weight))
                listing.says(f"weight={weight}")
                guarded.members[0].restart()  # every token is forgotten
            assert listing.process.poll() is None
