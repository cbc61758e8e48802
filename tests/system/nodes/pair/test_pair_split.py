"""Balancers that do not hear of each other, or that were not heard: who has the address then.

But for the first test both have it for a while: nothing but fencing, or a third vote, tells two
nodes that do not see each other which of them is to go on.
"""

from typing import Final

import pytest

from tests.system.pair_bed import Pair
from tests.system.pair_scene import Scene, watched
from tests.waiting import wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

HEALED_S: Final = 5.0
"""The one that keeps the address says so every 2 s; the network may have heard the other last."""


def test_a_network_that_asks_the_wrong_node_for_the_address_is_told(scene: Scene) -> None:
    """As it is when one that had the address too has spoken last, and then gave it up."""
    scene.pair.mislead(scene.standby)
    told = f"{scene.active.name} was sought again"
    wait_for(lambda: scene.pair.is_sought_at(scene.active), what=told)
    scene.client.is_served()
    scene.was_away(HEALED_S)


def test_corosync_crashes_and_the_pair_is_one_again_by_itself(pair: Pair) -> None:
    """Until then both may have the address, as when they do not see each other."""
    with watched(pair) as scene:
        before = scene.active.show("corosync", "MainPID")
        scene.active.systemctl("kill", "--kill-whom=main", "--signal=KILL", "corosync")
        wait_for(lambda: scene.active.show("corosync", "MainPID") not in {"0", before})
        wait_for(lambda: not pair.is_a_cluster(), what="somebody noticed")
        pair.is_ready()
        scene.was_away(HEALED_S)


def test_two_that_do_not_see_each_other_both_serve_until_they_do(pair: Pair) -> None:
    """The cut is between them alone: clients and apps reach both. Nothing but fencing, or a third
    vote, tells such nodes which of them is to go on. Here both have the address then; whom a client
    reaches is the one that its network has heard of last, and both know the same apps.
    """
    with watched(pair) as scene:
        for node in pair.balancers:
            node.shun(True)
        wait_for(lambda: len(scene.holders.now) == 2, what="both had the address", timeout_s=20)
        scene.client.is_served(times=20)
        for node in pair.balancers:
            node.shun(False)
        wait_for(lambda: len(scene.holders.now) == 1, what="one gave it up", timeout_s=20)
        pair.is_ready()
        scene.client.is_served()
        scene.was_away(HEALED_S)
