"""A secretary beside one container, which tells it what it needs to know."""

import signal
import time
from functools import partial

import pytest

from secretary.core import record
from secretary.devetcd import DevEtcd
from tests.etcd_bed import Etcdctl
from tests.system.containers_bed import PORT, Boxes, boxes, faults, images, sidecar
from tests.system.docker_bed import Docker
from tests.system.etcd_watch import EtcdWatch
from tests.waiting import stays, wait_for

__all__ = ["boxes", "images"]
pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]


def test_the_labels_tell_all_that_is_needed(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """Name, port and probe from labels, the address from the network; and it follows its life."""
    # fmt: off
    box = boxes.start("web", {
        ".name": "web", ".port": f"{PORT}", ".probe": "/healthz", ".tags": "blue,canary",
        ".weight": "7", ".meta.zone": "a",
    })
    # fmt: on
    key = f"{prefix}/web/{box.ip()}"
    with (
        EtcdWatch(etcd.urls, prefix) as watch,
        sidecar(box.name, docker, etcd.urls, prefix) as secretary,
    ):
        instance = record.decode(key, wait_for(lambda: etcdctl.get(key)).value)
        assert instance.addr == f"{box.ip()}:{PORT}"
        assert (instance.name, instance.tags, instance.weight) == ("web", ("blue", "canary"), 7)
        assert dict(instance.meta) == {"zone": "a"}

        box.ask("/fail")
        watch.gone(key)
        box.ask("/recover")
        watch.back(key, after_s=watch.gone(key).at_s)

        killed_s = time.monotonic()
        box("kill")
        took_s = watch.gone(key, after_s=killed_s).at_s - killed_s
        print(f"{took_s * 1000:.0f} ms from docker kill to the key's end")  # noqa: T201
        assert took_s < 2

        box("start")
        assert box.ip()
        new = watch.back(f"{prefix}/web/{box.ip()}", after_s=killed_s)
        assert new.value is not None
        assert record.decode(new.key, new.value).id != instance.id
        assert secretary.stop() == 0
        assert etcdctl.get(new.key) is None


def test_it_waits_for_a_container_that_is_not_there_yet(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """It says so once, and finds the next container of that name too."""
    name = boxes.name("late")
    with sidecar(name, docker, etcd.urls, prefix, "--port", str(PORT)) as secretary:
        secretary.says(f"container {name}: does not run; waiting")
        for _ in range(2):
            box = boxes.start("late", {".name": "late"})
            key = f"{prefix}/late/{box.ip()}"
            wait_for(partial(etcdctl.get, key))
            box("stop", "--time", "5")
            assert etcdctl.get(key) is None
            box("rm")
        assert 1 <= secretary.log.count("does not run; waiting") <= 3  # once for each absence


def test_what_is_given_wins_over_labels(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    labels = {".name": "labelled", ".port": f"{PORT}", ".weight": "7", ".tags": "blue"}
    box = boxes.start("given", labels)
    given = ("--name", "flagged", "--weight", "9")
    with sidecar(box.name, docker, etcd.urls, prefix, *given):
        key = f"{prefix}/flagged/{box.ip()}"
        instance = record.decode(key, wait_for(lambda: etcdctl.get(key)).value)
        assert (instance.weight, instance.tags) == (9, ("blue",))
        assert etcdctl.get(f"{prefix}/labelled/{box.ip()}") is None


def test_one_exposed_port_is_the_port_and_several_are_an_error(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    one = boxes.start("one", {".name": "one"}, f"--expose={PORT}")
    two = boxes.start("two", {".name": "two"}, f"--expose={PORT}", "--expose=9090")
    with sidecar(one.name, docker, etcd.urls, prefix):
        wait_for(lambda: etcdctl.get(f"{prefix}/one/{one.ip()}"))
    with sidecar(two.name, docker, etcd.urls, prefix) as secretary:
        secretary.says(f"container {two.name}: ")
        assert "8080, 9090" in faults(secretary)[two.name]
        assert secretary.process.poll() is None
    with sidecar(two.name, docker, etcd.urls, prefix, "--port", str(PORT)):
        wait_for(lambda: etcdctl.get(f"{prefix}/two/{two.ip()}"))


def test_several_networks_are_an_error_that_lists_them(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """By --network or a label one is chosen, without a choice nothing is guessed."""
    back, front = boxes.network("back"), boxes.network("front")
    box = boxes.start("both", {".name": "both", ".port": f"{PORT}"}, f"--network={back}")
    docker("network", "connect", front, box.name)
    with sidecar(box.name, docker, etcd.urls, prefix) as secretary:
        secretary.says("several networks")
        text = faults(secretary)[box.name]
        assert f"{back} ({box.ip(back)})" in text
        assert f"{front} ({box.ip(front)})" in text
    with sidecar(box.name, docker, etcd.urls, prefix, "--network", front):
        wait_for(lambda: etcdctl.get(f"{prefix}/both/{box.ip(front)}"))
        assert etcdctl.get(f"{prefix}/both/{box.ip(back)}") is None


def test_an_image_that_says_unhealthy_loses_its_record_at_once(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    """The image's HEALTHCHECK is the probe: no other is made."""
    box = boxes.start("checked", {".name": "checked"}, image=boxes.images.checked)
    key = f"{prefix}/checked/{box.ip()}"
    given = ("--port", str(PORT), "--probe", "docker")
    with (
        EtcdWatch(etcd.urls, prefix) as watch,
        sidecar(box.name, docker, etcd.urls, prefix, *given) as secretary,
    ):
        watch.back(key)
        assert box.told()["State"]["Health"]["Status"] == "healthy"
        box.ask("/fail")
        wait_for(lambda: box.told()["State"]["Health"]["Status"] == "unhealthy")
        known_s = time.monotonic()
        late_s = watch.gone(key).at_s - known_s
        print(f"gone {late_s * 1000:.0f} ms after it was seen unhealthy")  # noqa: T201
        assert late_s < 2
        box.ask("/recover")
        watch.back(key, after_s=known_s)
        assert "unhealthy" in secretary.log


def test_a_signal_that_is_no_stop_is_no_reason_to_go(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    """`docker kill --signal` may mean a reload; only the container's own stop signal means stop."""
    labels = {".name": "web", ".port": f"{PORT}"}
    box = boxes.start("deaf", labels, "--env=STUBBORN=1", "--stop-signal=SIGUSR2")
    key = f"{prefix}/web/{box.ip()}"
    with EtcdWatch(etcd.urls, prefix) as watch, sidecar(box.name, docker, etcd.urls, prefix):
        watch.back(key)
        box("kill", "--signal", "TERM")
        stays(lambda: len(watch.of(key)) == 1, for_s=1)
        box("kill", "--signal", "USR2")
        watch.gone(key)


def test_a_killed_secretarys_lease_takes_the_record_away(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    box = boxes.start("web", {".name": "web", ".port": f"{PORT}"})
    key = f"{prefix}/web/{box.ip()}"
    with sidecar(box.name, docker, etcd.urls, prefix, "--ttl", "3s") as secretary:
        lease = wait_for(lambda: etcdctl.get(key)).lease
        secretary.stop(signal.SIGKILL)
        assert etcdctl.get(key) is not None
        wait_for(lambda: etcdctl.get(key) is None)
        assert lease not in etcdctl.leases()
