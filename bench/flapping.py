"""Whether threads, descriptors or memory grow while the app flaps between every way to be."""

import argparse
import threading
import time

from bench.audience import audience
from bench.subjects import HOST, App, Cost, free_ports, secretary
from bench.table import show
from secretary.devetcd import DevEtcd

QUICK = (
    *("--interval", "200ms", "--fast-interval", "100ms", "--timeout", "200ms"),
    *("--rise", "1", "--fall", "2"),
)
MODES = ("refuse", "500", "hang")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    minutes = parser.parse_args().minutes
    (port,) = free_ports(1)
    keys = {f"/services/ours/{HOST}:{port}"}
    rows, flaps, pause = [], 0, threading.Event()
    with (
        DevEtcd() as etcd,
        audience(etcd) as watching,
        App([port]) as app,
        secretary(etcd.urls[0], port, *QUICK) as subject,
    ):
        watching.wait(keys, there=True, timeout_s=60)
        began_s = time.monotonic()
        for minute in range(minutes + 1):
            while time.monotonic() < began_s + minute * 60:
                for mode in MODES:
                    app.tell(mode)
                    watching.wait(keys, there=False, timeout_s=60)
                    app.tell("ok")
                    watching.wait(keys, there=True, timeout_s=60)
                    flaps += 1
            pause.wait(1.0)  # a probe that is under way holds a descriptor: let it end
            cost = Cost.of(subject)
            rows.append(
                [
                    str(minute),
                    str(flaps),
                    str(cost.threads),
                    str(cost.descriptors),
                    f"{cost.private_kb / 1024:.1f} MB",
                ]
            )
            print(f"minute {minute}: {', '.join(rows[-1][1:])}", flush=True)
    show(
        "flapping",
        "An app that flaps: refused, 500, hanging",
        ["minute", "times down and up", "threads", "descriptors", "private"],
        [row for number, row in enumerate(rows) if number in (0, 1, len(rows) // 2, len(rows) - 1)],
    )


if __name__ == "__main__":
    main()
