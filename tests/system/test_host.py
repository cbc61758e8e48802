"""One agent for a whole host: records follow containers through all that happens to these."""

import signal
import time

import pytest

from secretary.core import record
from secretary.devetcd import DevEtcd
from tests.apps import free_port
from tests.etcd_bed import Etcdctl
from tests.system.containers_bed import PORT, Box, Boxes, boxes, host_agent, images, registers
from tests.system.docker_bed import Docker
from tests.system.etcd_watch import EtcdWatch
from tests.waiting import wait_for

__all__ = ["boxes", "images"]
pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]
MOST_S = 2.0
"""A bound for machines that are very slow; what was measured is printed."""


def keys(etcdctl: Etcdctl, prefix: str) -> set[str]:
    listed = etcdctl("get", "--prefix", f"{prefix}/", "--keys-only", "--write-out=simple")
    return set(listed.split())


def key_of(box: Box, prefix: str, name: str = "web") -> str:
    return f"{prefix}/{name}/{box.addr()}"


def web(boxes: Boxes, short: str, *options: str) -> Box:
    return boxes.start(short, {".name": "web", ".port": f"{PORT}"}, boxes.publish(), *options)


def test_a_container_is_published_where_the_host_passes_it_on(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """The address is the host's, the probe goes to the container itself."""
    box = web(boxes, "one")
    anywhere = boxes.start("any", {".name": "any"}, f"--publish={PORT}")
    with host_agent(docker, etcd.urls, prefix, "--ip", "127.0.0.1") as agent:
        key = key_of(box, prefix)
        instance = record.decode(key, wait_for(lambda: etcdctl.get(key)).value)
        assert instance.addr == box.addr()
        port = anywhere.addr().rpartition(":")[2]
        wait_for(lambda: etcdctl.get(f"{prefix}/any/127.0.0.1:{port}"))
        registers(agent, 2)
        (status,) = (s for s in map(dict, agent.services()) if s["name"] == "web")
        assert status["container"] == box.name
        assert status["probe"] == f"tcp://{box.ip()}:{PORT}"
        assert agent.stop() == 0
        assert keys(etcdctl, prefix) == set()


def test_the_records_follow_the_scale(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """Three to ten and back to three; those that stay are never touched."""
    with (
        EtcdWatch(etcd.urls, prefix) as watch,
        host_agent(docker, etcd.urls, prefix) as agent,
    ):
        three = [web(boxes, f"web{number}") for number in range(3)]
        kept = {key_of(box, prefix) for box in three}
        wait_for(lambda: keys(etcdctl, prefix) == kept)
        seven = [web(boxes, f"web{number}") for number in range(3, 10)]
        wait_for(lambda: keys(etcdctl, prefix) == kept | {key_of(box, prefix) for box in seven})
        registers(agent, 10)
        for box in seven:
            box("stop", "--time", "5")
        wait_for(lambda: keys(etcdctl, prefix) == kept)
        assert all(len(watch.of(key)) == 1 for key in kept)
        # What has just been started may not listen yet when it is first asked.
        assert [said for said in agent.complaints if "down: refused" not in said] == []


def test_a_killed_container_is_gone_at_once(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    victims, other = [web(boxes, f"victim{n}") for n in range(3)], web(boxes, "other")
    with EtcdWatch(etcd.urls, prefix) as watch, host_agent(docker, etcd.urls, prefix) as agent:
        registers(agent, 4)
        for victim in victims:
            key = key_of(victim, prefix)
            killed_s = time.monotonic()
            victim("kill")
            took_s = watch.gone(key, after_s=killed_s).at_s - killed_s
            print(f"{took_s * 1000:.0f} ms from docker kill to the key's end")  # noqa: T201
            assert took_s < MOST_S
        assert len(watch.of(key_of(other, prefix))) == 1
        assert keys(etcdctl, prefix) == {key_of(other, prefix)}


def test_a_container_that_is_told_to_stop_is_gone_before_it_stops(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    """It ignores SIGTERM, so Docker waits three seconds: nobody is sent to it in these."""
    box = web(boxes, "slow", "--env=STUBBORN=1")
    key = key_of(box, prefix)
    with EtcdWatch(etcd.urls, prefix) as watch, host_agent(docker, etcd.urls, prefix):
        watch.back(key)
        told_s = time.monotonic()
        box("stop", "--time", "3")
        ended_s = time.monotonic()
        gone_s = watch.gone(key, after_s=told_s).at_s
        print(f"{(gone_s - told_s) * 1000:.0f} ms from docker stop to the key's end")  # noqa: T201
        assert gone_s < ended_s - 1


def test_a_paused_container_is_away_until_it_goes_on(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    box = web(boxes, "paused")
    key = key_of(box, prefix)
    with EtcdWatch(etcd.urls, prefix) as watch, host_agent(docker, etcd.urls, prefix):
        first = watch.back(key)
        box("pause")
        gone = watch.gone(key)
        box("unpause")
        back = watch.back(key, after_s=gone.at_s)
        assert back.revision > gone.revision > first.revision


def test_a_container_that_runs_out_of_memory_is_gone(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    """The kernel kills it: nobody told Docker to."""
    hungry = web(boxes, "hungry", "--memory=32m", "--memory-swap=32m")
    other = web(boxes, "other")
    keys = key_of(hungry, prefix), key_of(other, prefix)
    with EtcdWatch(etcd.urls, prefix) as watch, host_agent(docker, etcd.urls, prefix):
        for key in keys:
            watch.back(key)
        hungry.ask("/eat")
        watch.gone(keys[0])
        state = hungry.told()["State"]
        assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
        assert len(watch.of(keys[1])) == 1


def test_a_restarted_container_begins_anew(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    """Its record is taken out and written again, after probes that passed in its new life."""
    port = f"--publish={boxes.gateway}:{free_port()}:{PORT}"
    box = boxes.start("again", {".name": "web", ".port": f"{PORT}"}, port)
    key = key_of(box, prefix)
    with EtcdWatch(etcd.urls, prefix) as watch, host_agent(docker, etcd.urls, prefix):
        before = watch.back(key)
        box("restart", "--time", "5")
        gone = watch.gone(key)
        after = watch.back(key, after_s=gone.at_s)
        assert before.value is not None
        assert after.value is not None
        assert record.decode(key, before.value).id != record.decode(key, after.value).id


def test_a_container_that_changes_networks_has_its_new_address(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    back, front = boxes.network("back"), boxes.network("front")
    labels = {".name": "web", ".port": f"{PORT}", ".advertise": "container"}
    box = boxes.start("moving", labels, f"--network={back}")
    old = f"{prefix}/web/{box.ip(back)}:{PORT}"
    with EtcdWatch(etcd.urls, prefix) as watch, host_agent(docker, etcd.urls, prefix):
        watch.back(old)
        docker("network", "disconnect", back, box.name)
        gone = watch.gone(old)
        docker("network", "connect", front, box.name)
        new = f"{prefix}/web/{box.ip(front)}:{PORT}"
        assert watch.back(new, after_s=gone.at_s).revision > gone.revision
        assert new != old


def test_containers_without_a_network_of_their_own_are_published_too(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    """In another's network at the address of that one, in the host's at the host's."""
    port = free_port()
    owner = boxes.start("owner", {}, "--env=PORT=9090")
    inside, outside = {".name": "inside", ".advertise": "container"}, {".name": "outside"}
    boxes.start("guest", {**inside, ".port": f"{PORT}"}, f"--network=container:{owner.name}")
    # fmt: off
    boxes.start(
        "host", {**outside, ".port": f"{port}"}, "--network=host",
        f"--env=PORT={port}", "--env=IP=127.0.0.1",
    )
    # fmt: on
    key = f"{prefix}/inside/{owner.ip()}:{PORT}"
    with (
        EtcdWatch(etcd.urls, prefix) as watch,
        host_agent(docker, etcd.urls, prefix, "--ip", "127.0.0.1") as agent,
    ):
        watch.back(key)
        watch.back(f"{prefix}/outside/127.0.0.1:{port}")
        owner("kill")  # the guest goes on, and nobody can reach it
        watch.gone(key)
        assert {service["name"] for service in agent.services() if service["registered"]} == {
            "outside"
        }


def test_what_happened_while_etcd_was_away_is_made_good(
    docker: Docker, boxes: Boxes, own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str
) -> None:
    stays, goes = web(boxes, "stays"), web(boxes, "goes")
    with host_agent(docker, own_etcd.urls, prefix, ttl="60s") as agent:
        registers(agent, 2)
        before = own_etcdctl.get(key_of(stays, prefix))
        own_etcd.members[0].stop()
        gone = key_of(goes, prefix)
        goes("kill")
        comes = web(boxes, "comes")
        wait_for(lambda: comes.name in {service["container"] for service in agent.services()})
        own_etcd.members[0].start()
        there = {key_of(stays, prefix), key_of(comes, prefix)}
        wait_for(lambda: keys(own_etcdctl, prefix) == there, timeout_s=20)
        after = own_etcdctl.get(key_of(stays, prefix))
        assert before is not None
        assert after is not None
        assert gone not in there
        assert before.create_revision == after.create_revision


def test_the_failure_of_one_never_touches_another(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    sick = boxes.start("sick", {".name": "web", ".probe": "/healthz"}, boxes.publish())
    well = boxes.start("well", {".name": "web", ".probe": "/healthz"}, boxes.publish())
    ill, fine = key_of(sick, prefix), key_of(well, prefix)
    with EtcdWatch(etcd.urls, prefix) as watch, host_agent(docker, etcd.urls, prefix) as agent:
        registers(agent, 2)
        sick.ask("/fail")
        watch.gone(ill)
        sick.ask("/recover")
        watch.back(ill, after_s=watch.gone(ill).at_s)
        assert len(watch.of(fine)) == 1


def test_a_killed_agents_leases_take_its_records_away(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """Nothing is left behind: neither a record nor a lease."""
    leases = etcdctl.leases()
    both = {key_of(web(boxes, short), prefix) for short in ("one", "two")}
    with host_agent(docker, etcd.urls, prefix, ttl="3s") as agent:
        wait_for(lambda: keys(etcdctl, prefix) == both)
        agent.stop(signal.SIGKILL)
        assert keys(etcdctl, prefix) == both
        wait_for(lambda: keys(etcdctl, prefix) == set())
        wait_for(lambda: etcdctl.leases() <= leases)
