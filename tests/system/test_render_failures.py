"""Checks, reloads, disks and proxies fail: it is said once, the rest goes on, and it mends itself.

With a real nginx: what counts is what it serves.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from secretary.devetcd import DevEtcd
from tests.records import Records, records_in
from tests.renderers import Renderer
from tests.system.site_bed import Site
from tests.waiting import wait_for

ONE, TWO, THREE = (f"127.0.2.{number}:9" for number in range(1, 4))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with site.bed:
        yield site


@pytest.fixture
def records(etcd: DevEtcd, prefix: str) -> Iterator[Records]:
    with records_in(etcd, prefix) as records:
        records.put(ONE)
        yield records


@contextlib.contextmanager
def suffered(renderer: Renderer, *words: str) -> Iterator[None]:
    """Hold that the renderer complains of it in one line only, lives, and recovers by itself.

    Inside is what takes the cause away, after it has tried again more than once.
    """
    before = len(renderer.complaints)
    for each in words:
        renderer.says(each)
    failures = renderer.metric("failures_total")
    wait_for(lambda: renderer.metric("failures_total") >= failures + 2, what="it tried again")
    (complaint,) = renderer.complaints[before:]
    assert all(each in complaint for each in words), complaint
    assert renderer.page("/livez")[0] == 200
    assert renderer.trouble is not None
    assert all(each in renderer.trouble for each in words), renderer.trouble
    assert renderer.metric("failing") == 1
    yield
    wait_for(lambda: renderer.trouble is None, timeout_s=20)
    assert len(renderer.complaints) == before + 1
    assert renderer.metric("failing") == 0
    assert "it works again" in renderer.log


# Checks


def test_a_check_that_refuses_everything_keeps_the_old_configuration(
    etcd: DevEtcd, prefix: str, records: Records, site: Site
) -> None:
    with site.renderer(etcd, prefix) as renderer:
        site.knows(ONE)
        before = site.dest.read_bytes()
        site.extra.unlink()
        records.put(TWO)
        with suffered(renderer, "the check refuses it", f'open() "{site.extra}" failed'):
            assert site.dest.read_bytes() == before
            site.knows(ONE)
            site.extra.touch()
        site.knows(ONE, TWO)


def test_a_service_that_breaks_the_configuration_is_left_as_it_was_and_named(
    etcd: DevEtcd, prefix: str, records: Records, site: Site
) -> None:
    """The others' changes go through, the culprit's next change is tried again."""
    with site.renderer(etcd, prefix) as renderer:
        records.put(ONE, name="api")
        records.put(ONE, name="shop")
        site.knows(ONE, name="api")
        site.knows(ONE, name="shop")
        renderer.settles()
        # All in one window: the first waits for the reload's gap.
        records.put(ONE, TWO)
        records.put(TWO, name="api", weight=0)
        records.put(THREE, name="shop")
        site.knows(ONE, TWO)
        site.knows(ONE, THREE, name="shop")
        site.knows(ONE, name="api")
        (complaint,) = renderer.complaints
        assert "quarantined" in complaint
        assert "api" in complaint
        assert 'invalid parameter "weight=0"' in complaint
        assert renderer.page("/livez")[0] == 200
        assert renderer.trouble is not None
        assert "quarantined: api" in renderer.trouble
        assert renderer.metric("quarantined") == 1
        (group,) = renderer.told()["groups"]
        assert list(group["quarantined"]) == ["api"]

        records.put(THREE)  # nor does it hold up what comes later
        site.knows(ONE, TWO, THREE)
        records.put(TWO, name="api", weight=1)
        site.knows(ONE, TWO, name="api")
        wait_for(lambda: renderer.trouble is None)
        assert renderer.metric("quarantined") == 0
        assert len(renderer.complaints) == 1


# Reloads


@pytest.mark.parametrize(
    ("otherwise", "words"),
    [
        ("{ echo the keys are locked away; exit 7; }", ("exit status 7", "the keys are locked")),
        ("exec sleep 60", ("not done after 1 s, killed",)),
    ],
    ids=["fails", "hangs"],
)
def test_a_reload_that_fails_is_tried_until_it_works(
    etcd: DevEtcd,
    prefix: str,
    records: Records,
    site: Site,
    otherwise: str,
    words: tuple[str, ...],
) -> None:
    reload = site.reload_by(otherwise)
    with site.renderer(etcd, prefix, "--reload-timeout", "1s", reload=reload) as renderer:
        site.knows(ONE)
        renderer.settles()
        applied = renderer.told()["applied"]
        site.way_is_clear.unlink()
        records.put(TWO)
        with suffered(renderer, "reload failed", *words):
            site.knows(ONE)
            # Written is not applied.
            assert TWO in site.dest.read_text()
            assert renderer.told()["applied"] == applied
            assert len(psutil.Process(renderer.process.pid).children(recursive=True)) <= 1
            site.way_is_clear.touch()
        site.knows(ONE, TWO)
        assert renderer.told()["applied"] > applied


def test_a_proxy_that_is_down_is_waited_for(
    etcd: DevEtcd, prefix: str, records: Records, site: Site
) -> None:
    with site.renderer(etcd, prefix) as renderer:
        site.knows(ONE)
        renderer.settles()
        site.bed.stop()
        site.bed.pidfile.write_text(f"{site.bed.pid}\n")  # as after a crash: of nobody
        records.put(TWO)
        with suffered(renderer, f"no process {site.bed.pid}", str(site.bed.pidfile)):
            site.bed.start()
        site.knows(ONE, TWO)
        records.put(THREE)
        site.knows(ONE, TWO, THREE)


# Disks


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    """A site whose configuration lies on a disk of its own, a very small one."""
    if os.geteuid() != 0:
        pytest.skip("mounts a disk, which needs root")
    site = Site(tmp_path)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", site.bed.fragments], check=True
    )
    try:
        with site.bed:
            yield site
    finally:
        subprocess.run(["umount", site.bed.fragments], check=True)


@pytest.mark.root
def test_a_full_disk_keeps_the_old_configuration(
    etcd: DevEtcd, prefix: str, records: Records, small: Site
) -> None:
    with small.renderer(etcd, prefix) as renderer:
        small.knows(ONE)
        before = small.dest.read_bytes()
        ballast = small.dest.with_name("ballast")
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        records.put(TWO)
        with suffered(renderer, f"{small.dest} cannot be written", "No space left on device"):
            assert small.dest.read_bytes() == before
            small.knows(ONE)
            ballast.unlink()
        small.knows(ONE, TWO)
        assert [path.name for path in small.dest.parent.iterdir()] == [small.dest.name]


@pytest.mark.root
def test_a_read_only_disk_keeps_the_old_configuration(
    etcd: DevEtcd, prefix: str, records: Records, small: Site
) -> None:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", small.bed.fragments], check=True)

    with small.renderer(etcd, prefix) as renderer:
        small.knows(ONE)
        remount("ro")
        records.put(TWO)
        with suffered(renderer, f"{small.dest} cannot be written", "Read-only file system"):
            small.knows(ONE)
            remount("rw")
        small.knows(ONE, TWO)
