"""From one record's change to the file on disk, next to `confd -watch` where that is installed.

And what a change costs, what the process holds, and what it costs when records are rewritten
with the same value. The same upstreams are written by both.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.audience import settings_of
from bench.subjects import Cost, Subject
from bench.table import show
from secretary.devetcd import DevEtcd
from secretary.store.etcd import Etcd
from secretary.store.kv import Put

SIZES = (10, 1000, 5000)
SERVICE = "web"
AT_ONCE = 100
APART_S = 0.5
REWRITTEN = 100
"""How many of 1,000 records a second are rewritten with the value that they have."""

OURS = """\
{% macro line(i, weight) %}
    server {{ i.addr }} weight={{ weight }};
{% endmacro %}
{% macro block(s) %}
upstream {{ s.name }} {
{{ for_each(line, s) }}}
{% endmacro %}
{% for s in services %}
{{ remembered(block, s) }}
{% endfor %}
"""
CONFD = """\
upstream web {{"{"}}
{{range gets "/web/*"}}{{with json .Value}}    server {{.addr}} weight={{.weight}};
{{end}}{{end}}{{"}"}}
"""
CONFD_RESOURCE = """\
[template]
src = "bench.tmpl"
dest = "{dest}"
prefix = "/services"
keys = ["/web"]
"""


def record(number: int, weight: int) -> Put:
    ip = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
    fields = {
        "host": f"node-{number}", "ipv4_addr": ip, "port": 8080, "addr": f"{ip}:8080",
        "name": SERVICE, "id": f"id-{number}", "weight": weight, "tags": ["blue"],
        "meta": {"zone": "a"}, "state": "up", "since": "2026-11-21T02:00:00Z", "schema": 1,
    }  # fmt: skip
    return Put(f"/services/{SERVICE}/{ip}", json.dumps(fields).encode(), 0)


@contextmanager
def ours(etcd: str, directory: Path, dest: Path) -> Iterator[Subject]:
    (directory / "bench.j2").write_text(OURS)
    command = [
        *(sys.executable, "-m", "secretary", "render", "--etcd", etcd, "--status", "off"),
        *("--template", str(directory / "bench.j2"), "--dest", str(dest), "--state", "off"),
    ]
    with Subject(command) as subject:
        yield subject


@contextmanager
def confd(etcd: str, directory: Path, dest: Path) -> Iterator[Subject]:
    for name, text in (
        ("templates/bench.tmpl", CONFD),
        ("conf.d/bench.toml", CONFD_RESOURCE.format(dest=dest)),
    ):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    command = ["confd", "-watch", "-backend", "etcdv3", "-node", etcd, "-confdir", str(directory)]
    with Subject(command) as subject:
        yield subject


@dataclass(frozen=True, slots=True)
class Found:
    """Of one size: times from change to file, CPU for each, private memory after it."""

    seconds: list[float]
    cpu_s: float
    private_kb: int


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Look every fifth of a millisecond: what is measured takes a few."""
    pause, end_s = threading.Event(), time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError("the file was not written")
        pause.wait(0.0002)


def change_by_change(etcd: Etcd, subject: Subject, dest: Path, changes: int) -> Found:
    pause, seconds = threading.Event(), []
    before = Cost.of(subject)
    for number in range(changes):
        stamp = dest.stat().st_mtime_ns
        began_s = time.perf_counter()
        etcd.commit([], [record(1, 200 + number)])
        wait_until(lambda stamp=stamp: dest.stat().st_mtime_ns != stamp)  # type: ignore[misc]
        seconds.append(time.perf_counter() - began_s)
        pause.wait(APART_S)
    after = Cost.of(subject)
    return Found(seconds, (after.cpu_s - before.cpu_s) / changes, after.private_kb)


def rewriting(etcd: Etcd, subject: Subject, size: int, seconds: float) -> float:
    """Return the share of a core that goes into records which are rewritten as they are."""
    pause = threading.Event()
    before, began_s = Cost.of(subject), time.monotonic()
    number = 0
    while (spent_s := time.monotonic() - began_s) < seconds:
        etcd.commit([], [record(2 + number % (size - 2), 100)])
        number += 1
        pause.wait(max(0.0, number / REWRITTEN - spent_s))
    return (Cost.of(subject).cpu_s - before.cpu_s) / (time.monotonic() - began_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=30, help="how many of each size")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to rewrite")
    asked = parser.parse_args()
    sides = {"secretary render": ours}
    if shutil.which("confd"):
        sides["confd -watch"] = confd
    else:
        print("no confd on the PATH: measured without it")
    rows = []
    for title, start in sides.items():
        for size in SIZES:
            with contextlib.ExitStack() as held:
                server = held.enter_context(DevEtcd())
                etcd = held.enter_context(contextlib.closing(Etcd(settings_of(server))))
                puts = [record(number, 100) for number in range(1, size + 1)]
                for at in range(0, size, AT_ONCE):
                    etcd.commit([], puts[at : at + AT_ONCE])
                directory = Path(held.enter_context(tempfile.TemporaryDirectory()))
                dest = directory / "out" / "bench.conf"
                dest.parent.mkdir()
                subject = held.enter_context(start(server.urls[0], directory, dest))
                wait_until(dest.exists)
                threading.Event().wait(2.0)  # let what follows a start settle
                found = change_by_change(etcd, subject, dest, asked.changes)
                share = rewriting(etcd, subject, size, asked.seconds) if size == 1000 else None
            rows.append(
                [
                    f"{title}, {size}",
                    f"{statistics.median(found.seconds) * 1000:.1f} ms",
                    f"{max(found.seconds) * 1000:.1f} ms",
                    f"{found.cpu_s * 1000:.1f} ms",
                    f"{found.private_kb / 1024:.1f} MB",
                    "" if share is None else f"{share:.0%} of a core",
                ]
            )
    show(
        "rendering",
        f"From one record's change to the file on disk, {asked.changes} changes each",
        ["instances", "median", "worst", "CPU a change", "private", f"{REWRITTEN}/s rewritten"],
        rows,
    )


if __name__ == "__main__":
    main()
