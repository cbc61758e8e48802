"""Pacemaker gives DigitalOcean's reserved address to one of two real nodes, and moves it."""

from collections.abc import Iterator

import pytest

from tests.clouds.digitalocean import digitalocean_api
from tests.clouds.digitalocean_metadata import DigitalOceanMetadata, digitalocean_metadata
from tests.system.node_bed import NodeBed
from tests.system.reserved_ip_bed import ADDRESS
from tests.system.reserved_ip_pair_bed import ReservedPair
from tests.waiting import wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def metadata_and_pair(nodes: NodeBed) -> Iterator[tuple[DigitalOceanMetadata, ReservedPair]]:
    here = nodes.bridge.ip
    with digitalocean_api(here) as api:
        pair = ReservedPair(nodes, api)
        with digitalocean_metadata(api.account, pair.droplets, here) as metadata:
            pair.start(metadata)
            yield metadata, pair


@pytest.fixture
def pair(metadata_and_pair: tuple[DigitalOceanMetadata, ReservedPair]) -> ReservedPair:
    metadata_and_pair[1].holder()
    return metadata_and_pair[1]


@pytest.fixture
def metadata(metadata_and_pair: tuple[DigitalOceanMetadata, ReservedPair]) -> DigitalOceanMetadata:
    return metadata_and_pair[0]


def test_a_look_at_all_nodes_moves_nothing(pair: ReservedPair) -> None:
    before, moves = pair.holder(), pair.moves()
    pair.settles()
    assert (pair.holder(), pair.moves()) == (before, moves)


def test_without_the_metadata_service_the_address_stays(
    pair: ReservedPair, metadata: DigitalOceanMetadata
) -> None:
    before, moves = pair.holder(), pair.moves()
    metadata.status = 503
    asked = len(metadata.asked)
    wait_for(lambda: len(metadata.asked) > asked + 8, what="it was monitored several times")
    metadata.status = 200
    assert (pair.holder(), pair.moves()) == (before, moves)


def test_an_address_that_is_taken_away_is_taken_back(pair: ReservedPair) -> None:
    before, moves = pair.holder(), pair.moves()
    pair.api.account.reserved.add(ADDRESS)
    pair.goes_to(pair.other(before))
    assert pair.moves() == moves + 1
    pair.settles()


def test_a_hand_over_gives_it_to_the_other_in_one_step(pair: ReservedPair) -> None:
    before, moves = pair.holder(), pair.moves()
    before("crm_standby", "--node", before.name, "--update", "on")
    pair.goes_to(pair.other(before))
    before("crm_standby", "--node", before.name, "--delete")
    pair.settles()
    assert pair.holder() is pair.other(before)
    assert pair.moves() == moves + 1


def test_the_other_takes_it_from_a_node_that_dies_and_keeps_it(pair: ReservedPair) -> None:
    before, moves = pair.holder(), pair.moves()
    before.kill()
    pair.goes_to(pair.other(before))
    before.turn_on()
    before.comes_up()
    before.systemctl("start", "--no-block", "pacemaker")
    wait_for(lambda: len(pair.online()) == 2, timeout_s=60)
    pair.settles()
    assert pair.holder() is pair.other(before)
    assert pair.moves() == moves + 1
