"""What one secretary costs while nothing happens, next to a shell loop: etcd, CPU, memory.

And what one process with 300 services costs.
"""

import argparse
import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.audience import audience, settings_of
from bench.subjects import HOST, App, Cost, Subject, free_ports, secretary, shell_loop
from bench.table import show
from secretary.devetcd import DevEtcd
from secretary.store.etcd import Etcd

CROWD = 300
SETTLE_S = 10.0


@contextmanager
def crowd(etcd: str, ports: list[int]) -> Iterator[Subject]:
    """One process with a service for each port."""
    services = "".join(
        f'[[service]]\nname = "ours"\nport = {port}\nprobe = "http://{HOST}:{port}/healthz"\n'
        for port in ports
    )
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(
            f'ip = "{HOST}"\nkey-by = "ip-port"\netcd = "{etcd}"\nstatus = "off"\n{services}'
        )
        file.flush()
        with Subject([sys.executable, "-m", "secretary", "run", "--config", file.name]) as subject:
            yield subject


def observe(
    etcd: DevEtcd, subject: Subject, keys: set[str], seconds: float
) -> tuple[Cost, Cost, int]:
    """Return the cost before and after so many quiet seconds, and the revisions made meanwhile."""
    pause = threading.Event()
    with audience(etcd) as watching:
        watching.wait(keys, there=True, timeout_s=120)
    pause.wait(SETTLE_S)
    connection = Etcd(settings_of(etcd))
    with contextlib.closing(connection):
        before, revision = Cost.of(subject), connection.list("/").revision
        pause.wait(seconds)
        return before, Cost.of(subject), connection.list("/").revision - revision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each is looked at")
    seconds = parser.parse_args().seconds
    ports = free_ports(CROWD)
    rows, private_kb = [], {}
    with App(ports):
        for title, name, count in (
            ("secretary", "ours", 1),
            ("shell loop", "loop", 1),
            (f"secretary, {CROWD} services in one process", "ours", CROWD),
        ):
            with contextlib.ExitStack() as held:
                etcd = held.enter_context(DevEtcd())
                if count > 1:
                    subject = held.enter_context(crowd(etcd.urls[0], ports))
                else:
                    start = secretary if name == "ours" else shell_loop
                    subject = held.enter_context(start(etcd.urls[0], ports[0]))
                keys = {f"/services/{name}/{HOST}:{port}" for port in ports[:count]}
                before, after, revisions = observe(etcd, subject, keys, seconds)
            per_minute = 60.0 / seconds
            cpu_s = (after.cpu_s - before.cpu_s) * per_minute
            private_kb[title] = after.private_kb
            rows.append(
                [
                    title,
                    f"{revisions * per_minute:.0f}",
                    f"{cpu_s:.2f} s ({cpu_s / 60:.2%} of a core)",
                    f"{after.rss_kb / 1024:.1f} MB",
                    f"{after.private_kb / 1024:.1f} MB",
                    str(after.threads),
                ]
            )
    alone, *_, together = private_kb.values()
    show(
        "cost",
        f"The steady state, {seconds:.0f} s of it",
        ["", "etcd revisions/min", "CPU/min, children included", "RSS", "private", "threads"],
        [
            *rows,
            ["each further service", "", "", "", f"{(together - alone) / (CROWD - 1):.0f} KB", "1"],
        ],
    )


if __name__ == "__main__":
    main()
