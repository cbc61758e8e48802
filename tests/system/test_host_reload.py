"""SIGHUP where services come from containers: only what changed is touched."""

import signal
from pathlib import Path

import pytest

from secretary.core import record
from secretary.devetcd import DevEtcd
from tests.apps import App
from tests.etcd_bed import Etcdctl
from tests.secretaries import Secretary
from tests.system.containers_bed import PORT, Boxes, boxes, faults, host_agent, images
from tests.system.docker_bed import Docker
from tests.waiting import wait_for

__all__ = ["boxes", "images"]
pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]
LABELS = {".name": "web", ".port": f"{PORT}", ".advertise": "container"}


def weight(etcdctl: Etcdctl, key: str) -> int | None:
    seen = etcdctl.get(key)
    return record.decode(key, seen.value).weight if seen is not None else None


def test_a_reload_of_the_host_agent_changes_records_in_place(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, tmp_path: Path
) -> None:
    """A weight for all is written over the record; --auto brings in who has no labels."""
    box, bare = boxes.start("web", LABELS), boxes.start("bare", {}, boxes.publish())
    config = tmp_path / "host.toml"
    config.write_text("weight = 5\n")
    key = f"{prefix}/web/{box.ip()}:{PORT}"
    with host_agent(docker, etcd.urls, prefix, "--config", str(config)) as agent:
        before = wait_for(lambda: etcdctl.get(key))
        assert record.decode(key, before.value).weight == 5

        config.write_text("weight = 9\nauto = true\n")
        agent.process.send_signal(signal.SIGHUP)
        agent.says("reloaded")
        wait_for(lambda: weight(etcdctl, key) == 9)
        after = etcdctl.get(key)
        assert after is not None
        assert after.create_revision == before.create_revision
        image = boxes.images.plain.partition(":")[0]
        wait_for(lambda: etcdctl.get(f"{prefix}/{image}/{bare.addr()}"))

        config.write_text("weight = nine\n")
        agent.process.send_signal(signal.SIGHUP)
        agent.says("not reloaded, the running settings stay: ")
        assert weight(etcdctl, key) == 9


def test_a_container_comes_and_goes_with_its_table(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, tmp_path: Path
) -> None:
    """Docker is watched from the first table that asks for a container to the last one's end."""
    box = boxes.start("web", LABELS)
    config = tmp_path / "run.toml"
    with App() as app:
        fixed = f'[[service]]\nname = "fixed"\nip = "127.0.0.1"\nport = {app.port}\n'
        contained = f'[[service]]\ncontainer = "{box.name}"\nmeta = {{ zone = "a" }}\n'
        config.write_text(fixed)
        # fmt: off
        with Secretary(
            "--config", str(config), "--etcd", ",".join(etcd.urls), "--prefix", prefix,
            "--interval", "500ms", "--status", "127.0.0.1:0", **docker.environ(),
        ) as agent:
            # fmt: on
            first = wait_for(lambda: etcdctl.get(f"{prefix}/fixed/127.0.0.1"))

            config.write_text(fixed + contained)
            agent.process.send_signal(signal.SIGHUP)
            key = f"{prefix}/web/{box.ip()}"
            there = wait_for(lambda: etcdctl.get(key))
            assert record.decode(key, there.value).meta == {"zone": "a"}

            config.write_text(fixed)
            agent.process.send_signal(signal.SIGHUP)
            wait_for(lambda: etcdctl.get(key) is None)
            assert "docker" not in agent.page("/status")[1]
            last = etcdctl.get(f"{prefix}/fixed/127.0.0.1")
            assert last is not None
            assert last.create_revision == first.create_revision
            assert agent.stop() == 0


def test_faults_go_when_what_was_wrong_is_mended(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """Labels do not change while a container lives; networks do."""
    front = boxes.network("front")
    box = boxes.start("web", LABELS)
    docker("network", "connect", front, box.name)
    with host_agent(docker, etcd.urls, prefix) as agent:
        agent.says("is in several networks")
        assert box.name in faults(agent)
        docker("network", "disconnect", "bridge", box.name)
        wait_for(lambda: etcdctl.get(f"{prefix}/web/{box.ip(front)}:{PORT}"))
        assert faults(agent) == {}
