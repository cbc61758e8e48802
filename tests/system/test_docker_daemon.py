"""The daemon ends, crashes and comes back: what still runs keeps its record, whoever is away."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd
from tests.apps import free_port
from tests.etcd_bed import Certificates, Etcdctl
from tests.secretaries import run
from tests.system.containers_bed import PORT, Box, Boxes, app_images, host_agent, registers
from tests.system.docker_bed import Docker, import_base, needs
from tests.system.dockerd import Dockerd
from tests.system.etcd_watch import EtcdWatch

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]
_LIVE = "--live-restore"


@pytest.fixture(autouse=True)
def it_can_be_started() -> None:
    needs("docker", "dockerd", "debootstrap", "tar")


@contextlib.contextmanager
def own_boxes(daemon: Dockerd) -> Iterator[Boxes]:
    """Boxes on a daemon that the test may end."""
    docker = Docker(daemon.host, "base:1", "")
    import_base(docker)
    with app_images(docker) as images:
        boxes = Boxes(docker, images)
        yield boxes
        boxes.clear()


def web(boxes: Boxes, short: str, *options: str) -> Box:
    """A container that keeps its published port."""
    port = f"--publish={boxes.gateway}:{free_port()}:{PORT}"
    return boxes.start(short, {".name": "web", ".probe": "/healthz"}, port, *options)


@pytest.mark.parametrize("end", [Dockerd.stop, Dockerd.kill], ids=["stop", "crash"])
def test_with_live_restore_nothing_is_deregistered(
    etcd: DevEtcd, prefix: str, end: Callable[[Dockerd], None]
) -> None:
    """Apps run on without the daemon: so do their records, and so do the probes."""
    with Dockerd(_LIVE) as daemon, own_boxes(daemon) as boxes:
        still, sick = web(boxes, "still"), web(boxes, "sick")
        keys = [f"{prefix}/web/{box.addr()}" for box in (still, sick)]
        inside = sick.ip()
        with (
            EtcdWatch(etcd.urls, prefix) as watch,
            host_agent(boxes.docker, etcd.urls, prefix) as agent,
        ):
            registers(agent, 2)
            end(daemon)
            agent.says("does not answer")
            sick.ask("/fail", ip=inside)
            gone = watch.gone(keys[1])
            sick.ask("/recover", ip=inside)
            watch.back(keys[1], after_s=gone.at_s)
            daemon.start()
            agent.says("answers again")
            late = web(boxes, "late")
            watch.back(f"{prefix}/web/{late.addr()}")
            registers(agent, 3)
            assert [len(watch.of(key)) for key in keys] == [1, 3]
            sick("kill")
            watch.gone(keys[1], after_s=gone.at_s)
            assert len(watch.of(keys[0])) == 1


def test_without_live_restore_what_it_starts_again_comes_back(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """Those that it ended are gone, with or without a word from it."""
    with Dockerd() as daemon, own_boxes(daemon) as boxes:
        back, gone = web(boxes, "back", "--restart=always"), web(boxes, "gone")
        keys = [f"{prefix}/web/{box.addr()}" for box in (back, gone)]
        with (
            EtcdWatch(etcd.urls, prefix) as watch,
            host_agent(boxes.docker, etcd.urls, prefix) as agent,
        ):
            registers(agent, 2)
            daemon.stop()
            ends = [watch.gone(key) for key in keys]
            daemon.start()
            watch.back(keys[0], after_s=ends[0].at_s)
            registers(agent, 1)
            assert etcdctl.get(keys[1]) is None


def test_a_daemon_that_speaks_tls_and_comes_late(
    etcd: DevEtcd, prefix: str, certificates: Certificates, tmp_path: Path
) -> None:
    """DOCKER_CERT_PATH holds what both need to trust each other; the agent waits for the daemon."""
    address = f"127.0.0.1:{free_port()}"
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    fill(ours, certificates.cacert, certificates.client_cert, certificates.client_key)
    fill(theirs, certificates.other_cacert, certificates.client_cert, certificates.client_key)
    environ = {
        "DOCKER_HOST": f"tcp://{address}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(ours),
    }
    # fmt: off
    listen = (
        f"--host=tcp://{address}", "--tlsverify", f"--tlscacert={certificates.cacert}",
        f"--tlscert={certificates.server_cert}", f"--tlskey={certificates.server_key}",
    )
    # fmt: on
    with Dockerd(*listen, _LIVE) as daemon, own_boxes(daemon) as boxes:
        key = f"{prefix}/web/{web(boxes, 'one').addr()}"
        daemon.stop()
        with (
            EtcdWatch(etcd.urls, prefix) as watch,
            host_agent(boxes.docker, etcd.urls, prefix, **environ) as agent,
        ):
            agent.says("does not answer")
            assert agent.page("/readyz")[0] == 503
            daemon.start()
            watch.back(key)
            late = web(boxes, "late")
            late_key = f"{prefix}/web/{late.addr()}"
            watch.back(late_key)
            late("kill")
            watch.gone(late_key)
            assert agent.stop() == 0

        environ["DOCKER_CERT_PATH"] = str(theirs)
        told = run("host", "--etcd", etcd.urls[0], "--prefix", prefix, timeout_s=30, **environ)
        assert told.returncode == 2
        assert len(told.stderr.splitlines()) == 1
        assert address in told.stderr


def fill(directory: Path, cacert: str, cert: str, key: str) -> None:
    """Make a directory as DOCKER_CERT_PATH has it."""
    directory.mkdir()
    for name, source in (("ca.pem", cacert), ("cert.pem", cert), ("key.pem", key)):
        shutil.copyfile(source, directory / name)
