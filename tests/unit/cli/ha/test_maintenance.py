"""Whether a balancer can be spared is judged by what the other is like."""

from dataclasses import replace

import pytest

from secretary.cli.ha.crm_mon import decoded
from secretary.cli.ha.maintenance import (
    not_to_be_spared,
    still_running,
    still_serving,
    wants,
)
from secretary.cli.ha.pair import Balancer, Pair, Reach, Running, Standing
from tests.unit.cli.ha.captured import said


@pytest.fixture
def pair() -> Pair:
    """lb1 has the address, and both are well."""
    return decoded(said("healthy"))


def with_two(pair: Pair, two: Balancer) -> Pair:
    return replace(pair, balancers=(pair.balancers[0], two))


def test_either_of_two_that_are_well_can_be_spared(pair: Pair) -> None:
    for balancer in pair.balancers:
        assert not_to_be_spared(pair, balancer) is None
        assert wants(pair, balancer) is None


@pytest.mark.parametrize(
    ("standing", "haproxy", "fresh", "why"),
    [
        (Standing.OFFLINE, Running.STOPPED, None, "lb2 is offline"),
        (Standing.STANDBY, Running.STOPPED, True, "lb2 is standby"),
        (Standing.JOINING, Running.RUNNING, True, "lb2 is joining"),
        (Standing.ONLINE, Running.STARTING, True, "HAProxy is starting on lb2"),
        (Standing.ONLINE, Running.FAILED, True, "HAProxy is failed on lb2"),
        (Standing.ONLINE, Running.RUNNING, False, "the configuration of lb2 is behind"),
        (Standing.ONLINE, Running.RUNNING, None, "of lb2 is fresh is not known yet"),
    ],
)
def test_who_has_the_address_is_needed_while_the_other_is_not_well(
    pair: Pair, standing: Standing, haproxy: Running, fresh: bool | None, why: str
) -> None:
    one, two = pair.balancers
    pair = with_two(pair, replace(two, standing=standing, haproxy=haproxy, fresh=fresh))
    assert why in (not_to_be_spared(pair, one) or "")
    assert why in (wants(pair, pair.balancers[1]) or "")


@pytest.mark.parametrize("reach", [Reach(2, 4), Reach(2, 2), Reach(1, 4)])
def test_who_has_the_address_is_needed_by_one_that_reaches_nobody_else(
    pair: Pair, reach: Reach
) -> None:
    """Alone it would give the address up."""
    one, two = pair.balancers
    pair = with_two(pair, replace(two, reach=reach))
    why = f"lb2 reaches {reach.hosts} of {reach.asked} hosts, and would give the address up"
    assert why in (not_to_be_spared(pair, one) or "")
    assert wants(pair, pair.balancers[1]) is None
    assert not_to_be_spared(with_two(pair, replace(two, reach=Reach(3, 4))), one) is None


def test_who_has_no_address_can_be_spared_whatever_the_other_is_like(pair: Pair) -> None:
    """Nothing moves."""
    one, two = pair.balancers
    stale = replace(pair, balancers=(replace(one, fresh=False), two))
    assert not_to_be_spared(stale, two) is None


def test_where_nobody_judges_freshness_it_is_no_reason(pair: Pair) -> None:
    pair = with_two(pair, replace(pair.balancers[1], fresh=None))
    assert not_to_be_spared(replace(pair, judged=False), pair.balancers[0]) is None


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        ("alone", "the cluster has no quorum"),
        ("maintenance", "the cluster is in maintenance mode"),
        ("moving", "nobody has address"),
    ],
)
def test_nobody_can_be_spared_while_the_cluster_itself_is_not_well(moment: str, why: str) -> None:
    pair = decoded(said(moment))
    for balancer in pair.balancers:
        assert why in (not_to_be_spared(pair, balancer) or "")


def test_one_without_another_is_needed(pair: Pair) -> None:
    alone = replace(pair, balancers=pair.balancers[:1])
    assert not_to_be_spared(alone, alone.balancers[0]) == "there is no other balancer"


def test_one_serves_until_another_has_what_it_had(pair: Pair) -> None:
    one, two = pair.balancers
    assert still_serving(pair, one) == "lb1 still has address"
    free = replace(one, addresses=())
    assert still_serving(replace(pair, balancers=(free, two)), free) == "nobody has address"
    moved = replace(pair, balancers=(free, replace(two, addresses=("address",))))
    assert still_serving(moved, free) is None


def test_one_has_left_when_nothing_runs_there(pair: Pair) -> None:
    one, _ = pair.balancers
    assert still_running(pair, one) == "lb1 still has address"
    stopping = replace(one, addresses=(), haproxy=Running.STOPPING)
    assert still_running(pair, stopping) == "HAProxy is stopping on lb1"
    gone = decoded(said("standby"))
    assert still_running(gone, gone.balancers[1]) is None
