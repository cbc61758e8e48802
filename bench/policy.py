"""How long a day takes in the policy's virtual time, and what it comes to on each trace."""

import statistics
import time

from bench.table import show
from secretary.core.scaling import PolicySettings
from secretary.scaler.policy import Limits
from secretary.scaler.simulation import World, simulate
from secretary.scaler.traces import DAY_S, SYNTHETIC

RUNS = 5


def main() -> None:
    rows = []
    for name, made in SYNTHETIC.items():
        trace, took_s = made(), []
        for _ in range(RUNS):
            began_s = time.perf_counter()
            run = simulate(trace, PolicySettings(), Limits(1, 5), World())
            took_s.append(time.perf_counter() - began_s)
        ups = sum(change.is_up for change in run.changes)
        rows.append(
            [
                name,
                f"{trace.length_s / 3600:g} h",
                f"{statistics.median(took_s) * DAY_S / trace.length_s:.2f} s",
                f"{run.machine_hours:.1f}",
                f"{run.most}",
                f"{ups} / {len(run.changes) - ups}",
                f"{run.over_s:g} s",
                f"{len(run.flaps)}",
            ]
        )
    show(
        "policy",
        "The policy with its defaults, 1 to 5 machines, 60 s to boot",
        ["trace", "length", "a day takes", "machine hours", "most", "up / down", "over", "flaps"],
        rows,
    )


if __name__ == "__main__":
    main()
