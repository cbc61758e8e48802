"""How long after something becomes of a container its record is gone, or there; and what one
agent costs for many containers.

A Docker daemon of our own, an embedded etcd, `secretary host` with its default options, and one
small app for each container. Needs root, dockerd and debootstrap.
"""

import argparse
import contextlib
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.audience import Audience, audience
from bench.subjects import Cost, Subject
from bench.table import show
from secretary.devetcd import DevEtcd
from tests.system.docker_bed import Docker, import_base
from tests.system.dockerd import Dockerd

APP = "boxed_app.py"
PORT = 8080
PATIENCE_S = 120.0
SETTLE_S = 5.0
VERBS = {
    "docker kill": (("kill",), ("start",)),
    "docker stop": (("stop",), ("start",)),
    "docker pause": (("pause",), ("unpause",)),
    "docker rm --force": (("rm", "--force"), ()),
}


class Crowd:
    """Containers of one app, and their keys."""

    def __init__(self, docker: Docker, image: str, count: int) -> None:
        self.docker = docker
        self.names = [f"bench-{number}" for number in range(count)]
        self._image = image

    def run(self) -> None:
        for name in self.names:
            # fmt: off
            self.docker(
                "run", "--detach", "--name", name, "--label", "secretary.name=ours",
                "--label", f"secretary.port={PORT}", "--label", "secretary.probe=/",
                "--label", "secretary.advertise=container", self._image,
            )
            # fmt: on

    def key(self, name: str) -> str:
        told = self.docker.inspect(name)["NetworkSettings"]["Networks"]["bridge"]
        return f"/services/ours/{told['IPAddress']}:{PORT}"

    def keys(self) -> set[str]:
        return {self.key(name) for name in self.names}


@contextlib.contextmanager
def crowd(count: int) -> Iterator[Crowd]:
    with Dockerd() as daemon:
        docker = Docker(daemon.host, "bench-base:1", "")
        import_base(docker)
        context = Path(__file__).parent.parent / "tests" / "system"
        recipe = f'FROM {docker.base_image}\nCOPY {APP} /\nENTRYPOINT ["python3", "/{APP}"]\n'
        docker("build", "--tag", "bench-app:1", "--file", "-", str(context), stdin=recipe)
        yield Crowd(docker, "bench-app:1", count)


def agent(docker: Docker, etcd: str) -> Subject:
    os.environ["DOCKER_HOST"] = docker.host or ""
    return Subject(
        [
            *(sys.executable, "-m", "secretary", "host"),
            *("--etcd", etcd, "--ip", "127.0.0.1", "--status", "off"),
        ]
    )


def react(crowd: Crowd, watching: Audience, rounds: int) -> list[list[str]]:
    """Do to one container after another what can be done; return how long each took."""
    rows = []
    for title, (verb, back) in VERBS.items():
        gone_s: list[float] = []
        for name in crowd.names[:rounds]:
            key = crowd.key(name)
            watching.wait({key}, there=True, timeout_s=PATIENCE_S)
            began_s = time.monotonic()
            crowd.docker(*verb, name)
            watching.wait({key}, there=False, timeout_s=PATIENCE_S)
            gone_s.append(watching.seen_s[key] - began_s)
            if back:
                crowd.docker(*back, name)
        rows.append([title, _ms(statistics.median(gone_s)), _ms(max(gone_s))])
    return rows


def idle(subject: Subject, seconds: float) -> tuple[Cost, float]:
    """Return what it holds, and its CPU over so many quiet seconds as a share of a core."""
    before = Cost.of(subject)
    threading.Event().wait(seconds)
    after = Cost.of(subject)
    return after, (after.cpu_s - before.cpu_s) / seconds


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="containers")
    parser.add_argument("--rounds", type=int, default=10, help="of each thing done to one")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long it is left alone")
    asked = parser.parse_args()
    with (
        crowd(asked.count) as boxes,
        DevEtcd() as etcd,
        audience(etcd) as watching,
        agent(boxes.docker, etcd.urls[0]) as subject,
    ):
        threading.Event().wait(SETTLE_S)
        alone, alone_cpu = idle(subject, asked.seconds)
        boxes.run()
        watching.wait(boxes.keys(), there=True, timeout_s=PATIENCE_S)
        threading.Event().wait(SETTLE_S)
        full, full_cpu = idle(subject, asked.seconds)
        rows = react(boxes, watching, asked.rounds)
    show(
        "containers",
        f"From the command to the record's end, one of {asked.count} containers at a time",
        ["", "median", "worst"],
        [
            *rows,
            [
                f"agent, private memory with 0 and with {asked.count} containers",
                f"{alone.private_kb / 1024:.1f} MB",
                f"{full.private_kb / 1024:.1f} MB",
            ],
            [
                f"agent, share of a core with 0 and with {asked.count} containers",
                f"{alone_cpu:.2%}",
                f"{full_cpu:.2%}",
            ],
        ],
    )


if __name__ == "__main__":
    main()
