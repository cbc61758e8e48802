"""A thousand changes in ten seconds: few reloads or none, and at the end all is right."""

import random
import threading
import time
from pathlib import Path

from secretary.devetcd import DevEtcd
from tests.records import Records, records_in
from tests.renderers import Renderer
from tests.system.fronts import Front, Kind, front
from tests.system.haproxy_bed import HaproxyBed
from tests.system.nginx_bed import NginxBed
from tests.waiting import wait_for

CHANGES = 1000
DURATION_S = 10.0
MOST_RELOADS = 10
INSTANCES = 200
"""So many that those which are gone for a moment never are most of them."""
ADDRS = [f"127.0.2.{number}:9" for number in range(1, INSTANCES + 1)]


def storm(records: Records) -> tuple[dict[str, int], int]:
    """Make the changes, evenly; return the weights by address that remain, and the revision."""
    chance = random.Random(1)  # noqa: S311 - the same storm each time
    there = dict.fromkeys(ADDRS, 100)
    gone: list[str] = []
    began_s, pause = time.monotonic(), threading.Event()
    revision = 0
    for number in range(CHANGES):
        pause.wait(began_s + number * DURATION_S / CHANGES - time.monotonic())
        turn = chance.random()
        if turn < 0.15 and gone:
            back = gone.pop(0)
            there[back] = chance.randint(1, 256)
            revision = records.put(back, weight=there[back])
        elif turn < 0.3:
            leaving = chance.choice(sorted(there))
            del there[leaving]
            gone.append(leaving)
            revision = records.delete(leaving)
        else:
            changing = chance.choice(sorted(there))
            there[changing] = there[changing] % 256 + 1
            revision = records.put(changing, weight=there[changing])
    assert time.monotonic() - began_s < DURATION_S * 1.5, "etcd was too slow for a storm"
    return there, revision


def begun(etcd: DevEtcd, prefix: str, proxy: Front, records: Records) -> Renderer:
    renderer = Renderer.of(etcd.urls, prefix, *proxy.arguments)
    records.put(*ADDRS)
    return renderer


def test_nginx_reloads_ten_times_at_most(etcd: DevEtcd, prefix: str, tmp_path: Path) -> None:
    with (
        front(Kind.NGINX, tmp_path) as proxy,
        records_in(etcd, prefix) as records,
        begun(etcd, prefix, proxy, records) as renderer,
    ):
        assert isinstance(proxy.bed, NginxBed)
        wait_for(lambda: len(proxy.servers) == INSTANCES)
        renderer.settles()
        before, heard = renderer.reloads, hangups(proxy.bed)
        there, revision = storm(records)
        renderer.settles(revision)
        assert proxy.servers == there
        print(f"{renderer.reloads - before} reloads")  # noqa: T201 - the measured value
        assert 0 < renderer.reloads - before <= MOST_RELOADS
        assert hangups(proxy.bed) - heard == renderer.reloads - before
        assert renderer.complaints == []


def hangups(nginx: NginxBed) -> int:
    """How often it was told to reload, by its own word."""
    return nginx.log.count("signal 1 (SIGHUP) received")


def test_haproxy_does_not_reload_at_all(etcd: DevEtcd, prefix: str, tmp_path: Path) -> None:
    with (
        front(Kind.RUNTIME, tmp_path) as proxy,
        records_in(etcd, prefix) as records,
        begun(etcd, prefix, proxy, records) as renderer,
    ):
        haproxy = proxy.bed
        assert isinstance(haproxy, HaproxyBed)
        wait_for(lambda: len(proxy.servers) == INSTANCES)
        renderer.settles()
        wait_for(lambda: len(in_rotation(haproxy)) == INSTANCES)
        before, pids = renderer.reloads, (haproxy.pid, haproxy.worker_pid)
        there, revision = storm(records)
        renderer.settles(revision)
        assert proxy.servers == there
        assert in_rotation(haproxy) == there
        assert (haproxy.pid, haproxy.worker_pid) == pids
        assert renderer.reloads == before
        assert renderer.complaints == []


def in_rotation(haproxy: HaproxyBed) -> dict[str, int]:
    """The weights of the servers that the running process knows, by address."""
    return {
        addr: weight for addr, weight, is_away in haproxy.servers("web").values() if not is_away
    }
