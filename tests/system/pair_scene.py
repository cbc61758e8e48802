"""A pair of balancers under the eyes of a client, and of somebody who sees who has the address.

with watched(pair) as scene:
scene.active.kill()
scene.moved()
scene.was_away(NODE_LOST_S)
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.system.holders import Holders
from tests.system.node import Node
from tests.system.outage import Client
from tests.system.pair_bed import HA, Pair
from tests.waiting import wait_for

NODE_LOST_S: Final = 4.0
HAPROXY_DEAD_S: Final = 2.0
HAND_OVER_S: Final = 1.0
_ROOM_S: Final = 1.0
"""What a machine that does much else besides may add to each; bench/failover.py tells the times."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The pair under the eyes of a client: `active` has the address, `standby` has not."""

    pair: Pair
    active: Node
    standby: Node
    client: Client
    holders: Holders

    def moved(self) -> None:
        """Wait until the other one has the address, and the client is served."""
        self.has_it(self.standby)
        self.client.is_served()

    def has_it(self, node: Node) -> None:
        what = f"{node.name} had the address"
        wait_for(lambda: self.holders.now == {node.name}, what=what, timeout_s=30)

    def hands_over(self) -> None:
        """Take the active one out, as its operator does, and return when that is done."""
        self.active(*HA, "standby")
        assert self.holders.now == {self.standby.name}, self.holders.told()
        self.client.is_served()

    def lost_nothing(self) -> None:
        assert not self.client.lost, self.client.told()
        assert self.holders.moves == [self.active.name], self.holders.told()

    def was_away(self, below_s: float) -> None:
        """Hold that the client had to wait, if at all, less than so long."""
        assert self.client.outage_s < below_s + _ROOM_S, (
            f"{self.client.told()}\n{self.holders.told()}"
        )


@contextlib.contextmanager
def watched(pair: Pair) -> Iterator[Scene]:
    """The pair, well, until it is left well again."""
    pair.is_ready()
    active = pair.holder()
    holders = Holders(pair.balancers, pair.address)
    with holders, Client(pair.address) as client:
        yield Scene(pair, active, pair.others(active), client, holders)
        client.is_served()
    print(f"{client.told()}\n{holders.told()}")  # noqa: T201 - the measured values
