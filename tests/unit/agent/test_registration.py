"""One service's place in the directory, step by step, against the directory in memory.

tests/contract holds the fake to what a real etcd does; tests/system plays the same on a real one.
"""

import math

import pytest

from secretary.agent.health import Verdict
from secretary.agent.registration import LOOK_AGAIN_S, POSTPONED_S, Place, Registration
from secretary.core.errors import AccessDenied, StoreUnavailable
from secretary.core.instance import State
from secretary.core.record import decode
from tests.fakes.registry import FakeRegistry
from tests.unit.core.test_record import encoded

KEY = "/services/web/10.0.0.5"
OURS = b'{"ipv4_addr":"10.0.0.5","port":8080,"id":"a"}'
SAME_ENDPOINT = b'{"ipv4_addr":"10.0.0.5","port":"8080"}'
OTHER_PORT = b'{"ipv4_addr":"10.0.0.5","port":9090}'
TTL_S = 30


@pytest.fixture
def registration(registry: FakeRegistry) -> Registration:
    return Registration("web", KEY, OURS, TTL_S, registry)


def held(registration: Registration, registry: FakeRegistry) -> Registration:
    """Make the app healthy and its record stand."""
    registration.want(Verdict.UP, OURS)
    registration.step(0)
    assert registry.keys[KEY].value == OURS
    return registration


def foreign(registry: FakeRegistry, value: bytes) -> int:
    """Put a record there under somebody else's lease."""
    lease = registry.grant(TTL_S).lease
    registry.overwrite(KEY, value, lease)
    return lease


def test_a_healthy_app_is_registered_under_its_own_lease(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry)
    assert registry.keys[KEY].lease == registration.lease
    assert (registration.place, registration.registrations) == (Place.REGISTERED, 1)
    assert registration.due_s == TTL_S / 3


def test_the_steady_state_renews_and_writes_nothing(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry)
    revision = registry.revision
    for turn in range(1, 6):
        registration.step(turn * 10.0)
    assert (registry.revision, registry.renewals) == (revision, 5)


def test_an_unhealthy_app_is_taken_out_and_its_lease_revoked(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry).want(Verdict.DOWN, OURS)
    registration.step(1)
    assert (registry.keys, registry.leases) == ({}, set())
    assert (registration.place, registration.due_s) == (Place.ABSENT, math.inf)


def test_a_wish_is_due_at_once(registration: Registration, registry: FakeRegistry) -> None:
    held(registration, registry)
    assert registration.due_s == 10
    registration.want(Verdict.DOWN, OURS)
    assert registration.due_s == -math.inf


def test_a_lost_lease_is_replaced_in_the_same_step(
    registration: Registration, registry: FakeRegistry
) -> None:
    lost = held(registration, registry).lease
    assert lost is not None
    registry.expire(lost)
    registration.step(10)
    assert registry.keys[KEY].lease == registration.lease != lost
    assert registration.registrations == 2


def test_a_deleted_record_is_put_back_under_the_same_lease(
    registration: Registration, registry: FakeRegistry
) -> None:
    lease = held(registration, registry).lease
    registry.remove(KEY)
    registration.step(10)
    assert (registry.keys[KEY].value, registry.keys[KEY].lease) == (OURS, lease)


@pytest.mark.parametrize("scribble", [b"rubbish", OTHER_PORT, SAME_ENDPOINT])
def test_an_overwritten_record_is_put_right_in_place(
    registration: Registration, registry: FakeRegistry, scribble: bytes
) -> None:
    held(registration, registry)
    created = registry.keys[KEY].create_revision
    registry.overwrite(KEY, scribble)
    registration.step(10)
    assert (registry.keys[KEY].value, registry.keys[KEY].create_revision) == (OURS, created)


def test_another_endpoint_keeps_the_key_until_its_lease_ends(
    registration: Registration, registry: FakeRegistry
) -> None:
    lease = foreign(registry, OTHER_PORT)
    registration.want(Verdict.UP, OURS)
    registration.step(0)
    assert registry.keys[KEY].value == OTHER_PORT
    assert registration.place is Place.CONFLICT
    assert registration.holder is not None
    assert "10.0.0.5:9090" in registration.holder
    assert registration.trouble is not None
    assert registration.due_s == LOOK_AGAIN_S

    registry.expire(lease)
    registration.step(LOOK_AGAIN_S)
    assert registry.keys[KEY].value == OURS
    assert vars(registration) | {"holder": None, "trouble": None} == vars(registration)


def test_a_conflict_takes_no_lease(registration: Registration, registry: FakeRegistry) -> None:
    lease = foreign(registry, OTHER_PORT)
    registration.want(Verdict.UP, OURS)
    for turn in range(3):
        registration.step(turn * LOOK_AGAIN_S)
    assert registry.leases == {lease}


def test_what_stands_there_without_a_lease_and_is_another_endpoint_is_respected(
    registration: Registration, registry: FakeRegistry
) -> None:
    registry.overwrite(KEY, OTHER_PORT)
    registration.want(Verdict.UP, OURS)
    registration.step(0)
    assert registry.keys[KEY].value == OTHER_PORT


def test_a_predecessors_record_stays_while_the_first_probes_run(
    registration: Registration, registry: FakeRegistry
) -> None:
    foreign(registry, SAME_ENDPOINT)
    registration.step(0)
    assert registry.keys[KEY].value == SAME_ENDPOINT
    assert (registration.place, registration.due_s) == (Place.ADOPTABLE, math.inf)


def test_success_takes_a_predecessors_record_over_in_place(
    registration: Registration, registry: FakeRegistry
) -> None:
    foreign(registry, SAME_ENDPOINT)
    created = registry.keys[KEY].create_revision
    registration.step(0)
    held(registration, registry)
    assert registry.keys[KEY].create_revision == created
    assert registry.keys[KEY].lease == registration.lease


def test_failure_removes_a_predecessors_record(
    registration: Registration, registry: FakeRegistry
) -> None:
    foreign(registry, SAME_ENDPOINT)
    registration.step(0)
    registration.want(Verdict.DOWN, OURS)
    registration.step(1)
    assert registry.keys == {}


def test_failure_does_not_remove_a_strangers_record(
    registration: Registration, registry: FakeRegistry
) -> None:
    foreign(registry, OTHER_PORT)
    registration.want(Verdict.DOWN, OURS)
    registration.step(0)
    assert registry.keys[KEY].value == OTHER_PORT


def test_a_takeover_by_a_successor_is_respected(
    registration: Registration, registry: FakeRegistry
) -> None:
    ours = held(registration, registry).lease
    successor = foreign(registry, SAME_ENDPOINT)
    registration.step(10)
    assert registry.keys[KEY].lease == successor
    assert registration.place is Place.STANDBY
    assert ours not in registry.leases


def test_a_standby_takes_the_key_back_when_it_is_free(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry)
    successor = foreign(registry, SAME_ENDPOINT)
    registration.step(10)
    registry.expire(successor)
    registration.step(12)
    assert registry.keys[KEY].value == OURS


def test_a_standby_that_goes_down_leaves_its_successors_record(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry)
    foreign(registry, SAME_ENDPOINT)
    registration.step(10)
    registration.want(Verdict.DOWN, OURS)
    registration.step(11)
    assert registry.keys[KEY].value == SAME_ENDPOINT


@pytest.mark.parametrize("scribble", [b"rubbish", OTHER_PORT, SAME_ENDPOINT])
def test_what_was_scribbled_over_our_record_goes_with_it(
    registration: Registration, registry: FakeRegistry, scribble: bytes
) -> None:
    held(registration, registry)
    registry.overwrite(KEY, scribble)
    registration.want(Verdict.DOWN, OURS)
    registration.step(1)
    assert (registry.keys, registry.leases) == ({}, set())


def test_a_full_etcd_deletes_nothing_so_the_lease_is_revoked(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry).want(Verdict.DOWN, OURS)
    registry.full = True
    registration.step(1)
    assert (registry.keys, registry.leases) == ({}, set())


def test_leaving_takes_the_record_out_and_cannot_be_unsaid(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry).leave()
    registration.want(Verdict.UP, OURS)
    registration.step(1)
    assert registry.keys == {}
    assert registration.left_revision == registry.revision
    assert registration.settled


def test_leaving_says_so_before_it_goes(registry: FakeRegistry) -> None:
    """So that no guard against mass loss keeps what went on purpose."""
    registration = Registration("web", KEY, encoded(), TTL_S, registry)
    registration.want(Verdict.UP, encoded())
    registration.step(0)
    registration.leave()
    registration.step(1)
    assert [decode(KEY, value).state for value in registry.written] == [State.UP, State.DRAINING]
    assert registry.keys == {}


def test_an_app_that_fails_goes_without_a_word(registry: FakeRegistry) -> None:
    registration = Registration("web", KEY, encoded(), TTL_S, registry)
    registration.want(Verdict.UP, encoded())
    registration.step(0)
    revision = registry.revision
    registration.want(Verdict.DOWN, encoded())
    registration.step(1)
    assert (registry.keys, registry.revision) == ({}, revision + 1)


def test_leaving_before_any_verdict_leaves_a_predecessors_record_to_its_lease(
    registration: Registration, registry: FakeRegistry
) -> None:
    foreign(registry, SAME_ENDPOINT)
    registration.leave()
    registration.step(0)
    assert registry.keys[KEY].value == SAME_ENDPOINT
    assert registration.settled


def test_an_abandoned_record_is_taken_over_by_the_next_registration(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry).abandon()
    created = registry.keys[KEY].create_revision
    following = Registration("web", KEY, OURS, 60, registry)
    for each in (registration, following):
        each.step(1)
    held(following, registry)
    assert registry.keys[KEY].create_revision == created
    assert registry.keys[KEY].lease == following.lease


def test_a_step_that_failed_is_still_due(
    registration: Registration, registry: FakeRegistry
) -> None:
    registry.away = True
    registration.want(Verdict.UP, OURS)
    with pytest.raises(StoreUnavailable):
        registration.step(0)
    assert registration.due_s == -math.inf
    assert registration.trouble == "etcd fake: no answer in time"
    registry.away = False
    held(registration, registry)
    assert registration.trouble is None


def test_a_withdrawal_that_failed_is_made_when_etcd_answers(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry).want(Verdict.DOWN, OURS)
    registry.away = True
    with pytest.raises(StoreUnavailable):
        registration.step(1)
    registry.away = False
    registration.step(2)
    assert (registry.keys, registry.leases) == ({}, set())


def test_a_withdrawal_that_failed_half_way_still_knows_its_revision(
    registration: Registration, registry: FakeRegistry
) -> None:
    held(registration, registry).want(Verdict.DOWN, OURS)
    registry.fails_to_revoke = True
    with pytest.raises(StoreUnavailable):
        registration.step(1)
    registry.fails_to_revoke = False
    gone_at = registry.revision
    registration.step(2)
    assert registration.left_revision == gone_at
    assert registry.leases == set()


def test_what_is_wanted_while_a_step_fails_is_due_at_once(
    registration: Registration, registry: FakeRegistry
) -> None:
    registry.denied = True
    registration.want(Verdict.UP, OURS)
    with pytest.raises(AccessDenied) as refused:
        registration.step(0)
    registration.want(Verdict.DOWN, OURS)
    registration.postpone(5.0, refused.value)
    assert registration.due_s == -math.inf


def test_a_postponed_step_rests_and_says_why_once(
    registration: Registration, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.denied = True
    registration.want(Verdict.UP, OURS)
    for turn in range(3):
        with pytest.raises(AccessDenied) as refused:
            registration.step(turn)
        registration.postpone(turn, refused.value)
    assert registration.due_s == 2 + POSTPONED_S
    assert len([r for r in caplog.records if "permission denied" in r.message]) == 1


def test_new_content_is_written_in_place_under_the_same_lease(
    registration: Registration, registry: FakeRegistry
) -> None:
    lease = held(registration, registry).lease
    registration.want(Verdict.UP, OURS.replace(b"a", b"b"))
    registration.step(1)
    assert registry.keys[KEY].lease == lease
    assert registry.keys[KEY].value == OURS.replace(b"a", b"b")
