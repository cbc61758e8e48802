"""The pair of balancers that these tests share: each of them finds it well, and leaves it so."""

from collections.abc import Iterator

import pytest

from tests.system.node_bed import NodeBed
from tests.system.node_root import NodeRoot
from tests.system.pair_bed import Pair
from tests.system.pair_scene import Scene, watched


@pytest.fixture(scope="package")
def nodes(node_disk: NodeRoot) -> Iterator[NodeBed]:
    """In place of a module's."""
    with NodeBed(node_disk) as bed:
        yield bed


@pytest.fixture(scope="package")
def pair(nodes: NodeBed) -> Pair:
    pair = Pair(nodes)
    pair.start()
    return pair


@pytest.fixture
def scene(pair: Pair) -> Iterator[Scene]:
    """In it the address is never on two nodes at once."""
    with watched(pair) as scene:
        yield scene
    assert not scene.holders.twice, scene.holders.told()
