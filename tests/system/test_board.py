"""A leased key in which a program says how it is, on a real etcd."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from secretary.core.drains import DRAINS, Drains
from secretary.devetcd import DevEtcd
from secretary.store.board import Board
from secretary.store.etcd import Etcd
from secretary.store.follow import Following
from tests.etcd_bed import Etcdctl, settings_of


@pytest.fixture
def connection(etcd: DevEtcd) -> Iterator[Etcd]:
    with contextlib.closing(Etcd(settings_of(etcd))) as connection:
        yield connection


@pytest.fixture
def board(connection: Etcd, prefix: str) -> Iterator[Board]:
    board = Board(connection, f"{prefix}/me", 5)
    yield board
    board.close()


def test_the_key_says_what_was_last_posted_under_a_lease(board: Board, etcdctl: Etcdctl) -> None:
    for word in (b"one", b"two"):
        board.post(word)
    seen = etcdctl.get(board.key)
    assert seen is not None
    assert seen.value == b"two"
    assert seen.lease in etcdctl.leases()


def test_a_lost_lease_is_replaced(board: Board, etcdctl: Etcdctl) -> None:
    board.post(b"one")
    seen = etcdctl.get(board.key)
    assert seen is not None
    assert board.renew()
    etcdctl.revoke(seen.lease)
    assert not board.renew()
    board.post(b"one")
    again = etcdctl.get(board.key)
    assert again is not None
    etcdctl.revoke(again.lease)
    board.post(b"two")
    last = etcdctl.get(board.key)
    assert last is not None
    assert last.value == b"two"


def test_closing_takes_it_out_and_orphaning_leaves_it_to_expire(
    board: Board, etcdctl: Etcdctl
) -> None:
    board.post(b"one")
    board.orphan()
    seen = etcdctl.get(board.key)
    assert seen is not None
    assert seen.lease in etcdctl.leases()
    board.post(b"two")
    board.close()
    assert etcdctl.get(board.key) is None
    etcdctl.revoke(seen.lease)


def test_drains_are_followed(connection: Etcd, etcdctl: Etcdctl) -> None:
    key = f"{DRAINS}/t-drain/10.0.0.1"
    following = Following(connection, DRAINS, Drains())
    states = iter(following)
    assert ("t-drain", "10.0.0.1") not in next(states).endpoints.values()
    etcdctl.put(key, b"by hand")
    assert ("t-drain", "10.0.0.1") in next(states).endpoints.values()
    etcdctl.delete(key)
    assert ("t-drain", "10.0.0.1") not in next(states).endpoints.values()
    following.stop()
    assert list(states) == []


def test_all_is_listed_again_now_and_then(connection: Etcd, etcdctl: Etcdctl) -> None:
    """What a watch has missed is seen at the latest then; what is as it was is not repeated."""
    following = Following(connection, DRAINS, Drains(), resync_s=0.5)
    states = iter(following)
    first = next(states)
    missed = f"{DRAINS}/t-missed/10.0.0.1"
    following._state = Drains(first.revision, {missed: ("t-missed", "10.0.0.1")})
    assert next(states).endpoints == first.endpoints
    etcdctl.put("/t-elsewhere", b"x")  # not followed, so no watch tells of it
    threading.Timer(2.0, etcdctl.put, (missed, b"")).start()
    assert missed in next(states).endpoints
    etcdctl.delete(missed)
    following.stop()


def test_of_two_with_one_name_the_earlier_gives_way(
    etcd: DevEtcd, connection: Etcd, board: Board, etcdctl: Etcdctl
) -> None:
    """Neither speaks for the other, and each is waited for."""
    with contextlib.closing(Etcd(settings_of(etcd))) as other:
        rival = Board(other, board.key, 5)
        board.post(b"ours")
        name = board.key
        rival.post(b"theirs")
        assert not board.renew()
        board.post(b"ours")
        assert board.key.startswith(f"{name}-")
        for key, word in ((name, b"theirs"), (board.key, b"ours")):
            seen = etcdctl.get(key)
            assert seen is not None
            assert seen.value == word
        rival.close()
        assert board.renew()


def test_a_word_that_was_deleted_is_put_back_under_its_own_name(
    board: Board, etcdctl: Etcdctl
) -> None:
    board.post(b"one")
    name = board.key
    etcdctl.delete(name)
    assert not board.renew()
    board.post(b"one")
    assert board.key == name
    assert etcdctl.get(name) is not None
