"""Fifty containers that come and go at once: soon after, the records are what Docker says."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from secretary.core import record
from secretary.devetcd import DevEtcd
from tests.system.containers_bed import PORT, Box, Boxes, boxes, host_agent, images
from tests.system.docker_bed import Docker
from tests.system.etcd_watch import EtcdWatch
from tests.waiting import stays, wait_for

__all__ = ["boxes", "images"]
pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]
NUMBER = 50
AT_ONCE = 8
"""Docker itself starts no more of them at a time."""
LATEST_S = 10.0
"""A bound for machines that are very slow. Two seconds are the goal; what was is printed."""


def test_the_records_are_what_runs_when_the_storm_is_over(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    """Half are started while the other half is killed, stopped, paused or started again."""
    labels = {".name": "web", ".port": f"{PORT}", ".advertise": "container"}

    def start(number: int) -> Box:
        return boxes.start(f"web{number}", labels)

    def worry(box: Box, verb: str) -> None:
        box(verb, *(["--time=5"] if verb in ("stop", "restart") else []))

    verbs = itertools.cycle(("kill", "stop", "restart", "pause"))
    with (
        EtcdWatch(etcd.urls, prefix) as watch,
        host_agent(docker, etcd.urls, prefix, ttl="60s") as agent,
        ThreadPoolExecutor(AT_ONCE) as hands,
    ):
        early = list(hands.map(start, range(NUMBER // 2)))
        late = [hands.submit(start, number) for number in range(NUMBER // 2, NUMBER)]
        list(hands.map(worry, early, verbs))
        for future in late:
            future.result()
        assert NUMBER // 2 <= settled(boxes, watch) < NUMBER
        every = [*early, *(future.result() for future in late)]
        list(hands.map(lambda box: box("rm", "--force"), every))
        assert settled(boxes, watch) == 0
        list(hands.map(start, range(NUMBER)))
        assert settled(boxes, watch) == NUMBER
        boxes.docker("kill", *boxes.running)
        assert settled(boxes, watch) == 0
        assert agent.process.poll() is None


def settled(boxes: Boxes, watch: EtcdWatch) -> int:
    """Wait until the records are the containers that serve, and return how many these are."""
    ended_s = time.monotonic()
    expected = serving(boxes)
    wait_for(lambda: addresses(watch) == expected, timeout_s=LATEST_S, what=f"{expected} remained")
    last_s = max(change.at_s for change in watch.changes)
    print(f"{last_s - ended_s:+.2f} s after the end: {len(expected)}")  # noqa: T201
    stays(lambda: addresses(watch) == expected, for_s=0.5)
    return len(expected)


def serving(boxes: Boxes) -> set[str]:
    """Return the addresses of those that run and are not paused, as Docker tells."""
    if not (running := boxes.running):
        return set()
    # fmt: off
    told = boxes.docker(
        "inspect", "--format",
        "{{.State.Paused}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        *running,
    ).stdout
    # fmt: on
    lines = (line.split() for line in told.splitlines())
    return {f"{ip}:{PORT}" for paused, ip in lines if paused == "false"}


def addresses(watch: EtcdWatch) -> set[str]:
    """Return the addresses that are published now, as the watch has heard."""
    there: dict[str, bytes] = {}
    for change in watch.changes:
        there.pop(change.key, None)
        if change.value is not None:
            there[change.key] = change.value
    return {record.decode(key, value).addr for key, value in there.items()}
