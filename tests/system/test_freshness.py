"""`secretary ha fresh` compares what etcd holds with what a renderer really has applied."""

import re
import signal
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd
from tests import secretaries
from tests.apps import free_port
from tests.etcd_bed import Etcdctl
from tests.records import records_in
from tests.renderers import Renderer

ONE, TWO, THREE = (f"127.0.2.{number}:9" for number in (1, 2, 3))

CONFIG = """\
etcd = "{etcd}"
prefix = "{prefix}"
status = "127.0.0.1:{port}"
state = "off"

[[template]]
builtin = "nginx"
dest = "{directory}/sites.conf"
check-cmd = "off"
reload = "test ! -e {directory}/in-the-way"
"""


class Bed:
    """A renderer's configuration, and those who work by it."""

    def __init__(self, directory: Path, etcd: DevEtcd, prefix: str) -> None:
        self.in_the_way = directory / "in-the-way"
        """While this file is there no reload works."""
        self.config = directory / "render.toml"
        text = CONFIG.format(
            etcd=",".join(etcd.urls), prefix=prefix, port=free_port(), directory=directory
        )
        self.config.write_text(text)

    def renderer(self, **env: str) -> Renderer:
        return Renderer("--config", str(self.config), **env)

    def asked(self, max_lag: str = "10s", **env: str) -> tuple[int, str]:
        """Return the status and the one line of `secretary ha fresh`."""
        arguments = ("--config", str(self.config), "--max-lag", max_lag)
        done = secretaries.run("ha", "fresh", *arguments, timeout_s=60, **env)
        said = f"{done.stdout}{done.stderr}"
        assert said.count("\n") == 1, said
        return done.returncode, said.rstrip("\n")


@pytest.fixture
def bed(tmp_path: Path, own_etcd: DevEtcd, prefix: str) -> Bed:
    return Bed(tmp_path, own_etcd, prefix)


def test_what_is_applied_is_fresh(
    bed: Bed, own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str
) -> None:
    with records_in(own_etcd, prefix) as records, bed.renderer():
        assert bed.asked()[0] == 0
        records.put(ONE, TWO)
        status, said = bed.asked()
        assert status == 0
        assert re.fullmatch("fresh: all that etcd held at revision [0-9]+ is applied", said)
        own_etcdctl.put("/elsewhere", b"which concerns no renderer")
        assert bed.asked()[0] == 0
        records.delete(ONE)
        own_etcdctl.put(records.key("no address"), b"no record")
        own_etcdctl.put(f"/secretary/drain/web/{TWO}", b"")
        assert bed.asked()[0] == 0


def test_a_change_that_cannot_be_applied_is_behind(
    bed: Bed, own_etcd: DevEtcd, prefix: str
) -> None:
    with records_in(own_etcd, prefix) as records, bed.renderer():
        records.put(ONE, TWO)
        assert bed.asked()[0] == 0
        bed.in_the_way.touch()
        records.delete(TWO)
        status, said = bed.asked("1s")
        assert status == 1
        assert re.fullmatch("behind: records: revision [0-9]+ is applied, and not [0-9]+", said)
        bed.in_the_way.unlink()
        assert bed.asked("60s")[0] == 0


def test_a_renderer_that_hangs_or_is_gone_is_behind(
    bed: Bed, own_etcd: DevEtcd, prefix: str
) -> None:
    with records_in(own_etcd, prefix) as records, bed.renderer() as renderer:
        records.put(ONE)
        assert bed.asked()[0] == 0
        renderer.process.send_signal(signal.SIGSTOP)
        status, said = bed.asked("0s")
        assert (status, said.endswith(": timed out")) == (1, True), said
        renderer.process.send_signal(signal.SIGCONT)
        assert bed.asked()[0] == 0
        renderer.stop()
        status, said = bed.asked("0s")
        assert status == 1
        assert said.startswith("behind: the renderer: no answer from 127.0.0.1:")


def test_while_etcd_is_away_nothing_can_be_said(bed: Bed, own_etcd: DevEtcd, prefix: str) -> None:
    (member,) = own_etcd.members
    with records_in(own_etcd, prefix) as records, bed.renderer():
        records.put(ONE)
        assert bed.asked()[0] == 0
        member.kill()
        status, said = bed.asked()
        assert (status, said.partition(":")[0]) == (3, "unknown")
        member.start()
        member.wait_ready()
        assert bed.asked()[0] == 0


def test_a_renderer_that_cannot_hear_of_a_deletion_is_found_out(
    tmp_path: Path, cluster: DevEtcd, prefix: str
) -> None:
    """It takes etcd to be away, for the member that it knows is frozen; the others answer."""
    bed = Bed(tmp_path, cluster, prefix)
    follower = next(member for member in cluster.members if not member.leads())
    others = [member.url for member in cluster.members if member is not follower]
    with (
        records_in(cluster, prefix) as records,
        bed.renderer(SECRETARY_ETCD=follower.url),
    ):
        records.put(ONE, TWO, THREE)
        assert bed.asked()[0] == 0
        follower.freeze()
        try:
            Etcdctl(others).delete(records.key(TWO))
            found = bed.asked("1s", SECRETARY_ETCD=",".join(others))
        finally:
            follower.thaw()
        assert found[0] == 1
        assert found[1].endswith(" are applied, and etcd has 2")
        assert bed.asked("30s")[0] == 0


def test_wrong_settings_are_one_line(bed: Bed) -> None:
    done = secretaries.run("ha", "fresh")
    assert done.returncode == 2
    assert done.stderr.startswith("secretary: --config is missing: ")
    said = "secretary: status: is off, so the renderer cannot be asked; give it an address"
    assert bed.asked(SECRETARY_STATUS="off") == (2, said)
    status, said = bed.asked("an hour")
    assert status == 2
    assert said.startswith("secretary: --max-lag: got 'an hour', allowed: a time")
