"""How long the pair is away for a client when something becomes of a balancer, and what it costs.

deploy/pacemaker on two nodes of their own (systemd-nspawn), with an app host and an etcd of three
members on a third. Needs root, debootstrap and systemd-nspawn.
"""

import argparse
import statistics
import threading
from collections.abc import Callable
from typing import Final

from bench.table import show
from tests.system.holders import Holders
from tests.system.node import Node
from tests.system.node_bed import NodeBed
from tests.system.node_root import node_root
from tests.system.outage import Client
from tests.system.pair_bed import HA, Pair
from tests.waiting import wait_for

IDLE_S = 60.0
UNITS: Final = ("pacemaker", "corosync", "haproxy", "secretary-render", "secretary-balancer")
_PATIENCE_S: Final = 30.0

Act = Callable[[Pair, Node], object]


def _plugs_in(pair: Pair, node: Node) -> None:
    """Not before it has given up the address, which takes the cluster's look around."""
    wait_for(lambda: not pair.has_it(node), timeout_s=_PATIENCE_S)
    node.plug_in()


def _nothing(pair: Pair, node: Node) -> None: ...


CASES: Final[dict[str, tuple[Act, Act]]] = {
    "node killed": (lambda _, node: node.kill(), lambda _, node: node.boot()),
    "node unplugged": (lambda _, node: node.unplug(), _plugs_in),
    "node shut down": (lambda _, node: node.power_off(), lambda _, node: node.boot()),
    "`secretary ha standby`": (
        lambda _, node: node(*HA, "standby"),
        lambda _, node: node(*HA, "online"),
    ),
    "haproxy killed": (
        lambda _, node: node.systemctl("kill", "--signal=KILL", "haproxy"),
        _nothing,
    ),
    "haproxy stopped by hand": (
        lambda _, node: node.systemctl("stop", "haproxy"),
        lambda pair, _: pair.clean_up(),
    ),
    "haproxy hangs (SIGSTOP)": (
        lambda _, node: node.systemctl("kill", "--signal=STOP", "haproxy"),
        lambda pair, _: pair.clean_up(),
    ),
    "renderer killed": (
        lambda _, node: node.systemctl("kill", "--signal=KILL", "secretary-render"),
        _nothing,
    ),
}
STAYS: Final = {"haproxy killed", "renderer killed"}


def away_s(pair: Pair, act: Act, undo: Act, *, moves: bool) -> float:
    """Let it happen to the one that has the address; return how long a client was away."""
    pair.is_ready()
    node = pair.holder()
    other = pair.others(node)
    with Holders(pair.balancers, pair.address) as holders, Client(pair.address) as client:
        act(pair, node)
        if moves:
            wait_for(lambda: holders.now == {other.name}, timeout_s=_PATIENCE_S)
        client.is_served()
        undo(pair, node)
        pair.is_ready()
        client.is_served()
    assert not holders.twice, holders.told()
    return client.outage_s


def idle(pair: Pair) -> list[tuple[str, float]]:
    """Return what a standby's units take of a core while nothing happens, in per cent."""
    pair.is_ready()
    node = pair.others(pair.holder())
    before = {unit: _cpu_s(node, unit) for unit in UNITS}
    threading.Event().wait(IDLE_S)
    return [(unit, (_cpu_s(node, unit) - before[unit]) / IDLE_S * 100) for unit in UNITS]


def _cpu_s(node: Node, unit: str) -> float:
    group = node.show(unit, "ControlGroup")
    told = node("cat", f"/sys/fs/cgroup{group}/cpu.stat").stdout.split()
    return int(told[told.index("usage_usec") + 1]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each happens")
    parser.add_argument("--only", action="append", help="a case, such as 'node killed'")
    asked = parser.parse_args()
    with node_root() as root, NodeBed(root) as nodes:
        pair = Pair(nodes)
        pair.start()
        rows = []
        for case, (act, undo) in CASES.items():
            if asked.only and case not in asked.only:
                continue
            took_s = [away_s(pair, act, undo, moves=case not in STAYS) for _ in range(asked.times)]
            rows.append([case, f"{statistics.median(took_s):.1f} s", f"{max(took_s):.1f} s"])
        show("failover", "A client is away for", ["what happens", "median", "worst"], rows)
        costs = [[unit, f"{percent:.1f} %"] for unit, percent in idle(pair)]
        show("failover-idle", "An idle balancer, of a core", ["unit", "CPU"], costs)


if __name__ == "__main__":
    main()
