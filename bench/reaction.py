"""How long after a fault the record is gone, and after a recovery there again.

Ours with default options and the shell loop, several of each at once, each fault at a random
moment of their rounds.
"""

import argparse
import contextlib
import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.audience import Audience, audience
from bench.subjects import HOST, App, Subject, free_ports, secretary, shell_loop
from bench.table import show
from secretary.devetcd import DevEtcd

FAULTS = {"crash (refused)": "refuse", "status 500": "500", "hang": "hang"}
PATIENCE_S = 120.0


@dataclass
class Contender:
    name: str
    round_s: float
    start: Callable[[str, int], Subject]
    took_s: dict[str, list[float]] = field(default_factory=dict)


def contend(contender: Contender, etcd: DevEtcd, watching: Audience, count: int) -> None:
    """Have `count` subjects of one kind go through every fault."""
    ports = free_ports(count)
    with contextlib.ExitStack() as held:
        apps = {port: held.enter_context(App([port])) for port in ports}
        for port in ports:
            held.enter_context(contender.start(etcd.urls[0], port))
        keys = {port: f"/services/{contender.name}/{HOST}:{port}" for port in ports}
        watching.wait(set(keys.values()), there=True, timeout_s=PATIENCE_S)
        for fault, mode in FAULTS.items():
            for title, order, there in ((fault, mode, False), (f"{fault}: back", "ok", True)):
                told_s = tell_all(apps, order, contender.round_s)
                watching.wait(set(keys.values()), there=there, timeout_s=PATIENCE_S)
                contender.took_s[title] = [
                    watching.seen_s[keys[port]] - told_s[port] for port in ports
                ]


def tell_all(apps: dict[int, App], order: str, within_s: float) -> dict[int, float]:
    """Tell every app, each at a random moment; return the moments."""
    moments = sorted((random.uniform(0, within_s), port) for port in apps)
    began_s, told_s, pause = time.monotonic(), {}, threading.Event()
    for after_s, port in moments:
        pause.wait(max(0.0, began_s + after_s - time.monotonic()))
        apps[port].tell(order)
        told_s[port] = time.monotonic()
    return told_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=8, help="subjects of each kind")
    count = parser.parse_args().count
    ours = Contender("ours", 2.0, secretary)
    loop = Contender("loop", 20.0, shell_loop)
    with DevEtcd() as etcd, audience(etcd) as watching:
        for contender in (ours, loop):
            contend(contender, etcd, watching, count)

    def row(title: str) -> list[str]:
        mine_s, other_s = ours.took_s[title], loop.took_s[title]
        medians = statistics.median(mine_s), statistics.median(other_s)
        return [
            title,
            *(f"{medians[0]:.2f} s", f"{max(mine_s):.2f} s"),
            *(f"{medians[1]:.2f} s", f"{max(other_s):.2f} s"),
            f"{medians[1] / medians[0]:.1f}x",
        ]

    titles = [title for fault in FAULTS for title in (fault, f"{fault}: back")]
    show(
        "reaction",
        f"From a fault to the key gone, from recovery to the key there ({count} of each)",
        ["", "secretary, median", "worst", "shell loop, median", "worst", "ratio of medians"],
        [row(title) for title in titles],
    )


if __name__ == "__main__":
    main()
