"""What the agent relies on in the directory, held for the fake and for a real etcd alike."""

from collections.abc import Iterator

import pytest

from secretary.agent.ports import Registry
from secretary.core.claim import Found
from secretary.core.errors import LeaseLost
from secretary.devetcd import DevEtcd
from secretary.store.etcd import Etcd
from secretary.store.registry import Registry as StoreRegistry
from tests.etcd_bed import settings_of
from tests.fakes.registry import FakeRegistry


@pytest.fixture(params=["fake", "etcd"])
def registry(request: pytest.FixtureRequest, etcd: DevEtcd) -> Iterator[Registry]:
    if request.param == "fake":
        yield FakeRegistry()
        return
    connection = Etcd(settings_of(etcd))
    yield StoreRegistry(connection)
    connection.close()


@pytest.fixture
def key(prefix: str) -> str:
    return f"{prefix}/web/10.0.0.5"


def found(registry: Registry, key: str) -> Found:
    seen = registry.find(key)
    assert seen is not None
    return seen


def test_a_record_stands_under_its_lease(registry: Registry, key: str) -> None:
    lease = registry.grant(10)
    assert registry.find(key) is None
    assert registry.put(key, b"1", lease.lease, None)
    seen = found(registry, key)
    assert (seen.value, seen.lease, seen.create_revision) == (b"1", lease.lease, seen.mod_revision)
    lease.close()


def test_a_put_over_what_is_no_longer_there_does_nothing(registry: Registry, key: str) -> None:
    lease = registry.grant(10)
    registry.put(key, b"1", lease.lease, None)
    first = found(registry, key)
    assert registry.put(key, b"2", lease.lease, first)
    assert not registry.put(key, b"3", lease.lease, first)
    assert not registry.put(key, b"3", lease.lease, None)
    assert found(registry, key).value == b"2"
    lease.close()


def test_a_put_in_place_keeps_the_create_revision(registry: Registry, key: str) -> None:
    predecessor, successor = registry.grant(10), registry.grant(10)
    registry.put(key, b"1", predecessor.lease, None)
    first = found(registry, key)
    assert registry.put(key, b"2", successor.lease, first)
    second = found(registry, key)
    assert (second.create_revision, second.lease) == (first.create_revision, successor.lease)
    predecessor.close()
    assert found(registry, key) == second
    successor.close()


def test_closing_a_lease_takes_what_hangs_on_it(registry: Registry, key: str) -> None:
    lease = registry.grant(10)
    registry.put(key, b"1", lease.lease, None)
    lease.close()
    lease.close()
    assert registry.find(key) is None
    with pytest.raises(LeaseLost):
        lease.renew()


def test_nothing_can_be_put_under_a_lease_that_is_gone(registry: Registry, key: str) -> None:
    lease = registry.grant(10)
    lease.close()
    with pytest.raises(LeaseLost):
        registry.put(key, b"1", lease.lease, None)


def test_only_the_own_record_is_deleted(registry: Registry, key: str) -> None:
    ours, theirs = registry.grant(10), registry.grant(10)
    registry.put(key, b"1", theirs.lease, None)
    assert registry.delete(key, ours.lease) is None
    revision = registry.delete(key, theirs.lease)
    assert revision is not None
    assert registry.delete(key, theirs.lease) is None
    for lease in (ours, theirs):
        lease.close()


def test_only_what_was_seen_is_cleared(registry: Registry, key: str) -> None:
    lease = registry.grant(10)
    registry.put(key, b"1", lease.lease, None)
    seen = found(registry, key)
    registry.put(key, b"2", lease.lease, seen)
    assert registry.clear(key, seen) is None
    assert registry.clear(key, found(registry, key)) is not None
    assert registry.find(key) is None
    lease.close()


def test_a_deletions_revision_is_that_of_the_directory_after_it(
    registry: Registry, key: str
) -> None:
    lease = registry.grant(10)
    registry.put(key, b"1", lease.lease, None)
    before = found(registry, key).mod_revision
    revision = registry.delete(key, lease.lease)
    assert revision == before + 1
    lease.close()


def test_a_rehearsal_writes_nothing(registry: Registry, key: str) -> None:
    lease = registry.grant(10)
    registry.rehearse(key, lease.lease)
    assert registry.find(key) is None
    lease.close()


def test_another_agents_record_can_be_given_more_time(registry: Registry, key: str) -> None:
    lease = registry.grant(10)
    registry.put(key, b"1", lease.lease, None)
    seen = found(registry, key)
    registry.extend(seen)
    lease.close()
    registry.extend(seen)
    assert registry.find(key) is None


def test_a_mark_is_made_only_under_our_lease(registry: Registry, key: str) -> None:
    lease, other = registry.grant(10), registry.grant(10)
    assert not registry.mark(key, b"draining", lease.lease)
    registry.put(key, b"1", lease.lease, None)
    assert not registry.mark(key, b"draining", other.lease)
    assert found(registry, key).value == b"1"
    assert registry.mark(key, b"draining", lease.lease)
    assert (found(registry, key).value, found(registry, key).lease) == (b"draining", lease.lease)
    for each in (lease, other):
        each.close()
