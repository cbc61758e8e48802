"""The renderer is killed at any point of a write: what is read is the old or the new, whole.

Killed at each step that touches the directory of the file, at the check, at the reload, and at
random moments while it writes all the time.
"""

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd
from tests.etcd_bed import Etcdctl
from tests.records import Records, records_in
from tests.renderers import Renderer
from tests.stream import TEMPLATE, Stream
from tests.system.killed_bed import Writing
from tests.system.site_bed import Site
from tests.waiting import wait_for

ONE, TWO = "127.0.2.1:9", "127.0.2.2:9"
MANY = [f"127.0.{third}.{fourth}:9" for third in (3, 4) for fourth in range(1, 251)]
KILLS = 25
LONGEST_S = 0.02
"""More than one write takes."""


@pytest.fixture
def records(etcd: DevEtcd, prefix: str) -> Iterator[Records]:
    with records_in(etcd, prefix) as records:
        yield records


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where nothing is but what the renderer writes."""
    directory = tmp_path / "written"
    directory.mkdir()
    return directory


# At each step


@pytest.mark.parametrize("where", ["configuration", "memory"])
def test_a_kill_at_any_step_leaves_a_whole_file_and_no_litter(
    etcd: DevEtcd, prefix: str, records: Records, tmp_path: Path, where: str
) -> None:
    write = Writing(etcd, prefix, tmp_path)
    records.put(*MANY)
    assert write()
    new = write.found(where)
    records.delete(*MANY[:100])
    assert write()
    old, files = write.found(where), write.files()
    records.put(*MANY[:100])
    was_new, littering = [], []
    for step in itertools.count(1):
        write.put_back(files)
        ended = write(where, step)
        assert write.found(where) in (old, new)
        was_new.append(write.found(where) == new)
        if ended:
            break
        assert len(write.litter()) <= 1
        if write.litter():
            littering.append(step)
    # It was killed before the file was replaced, and after.
    assert not was_new[0]
    assert was_new == sorted(was_new)
    assert was_new.count(True) > 1
    assert write.litter() == set()

    write.put_back(files)
    write(where, littering[-1])
    assert write.litter()
    assert write()
    assert write.litter() == set()


def test_a_slow_reader_gets_the_whole_of_what_it_began_to_read(
    etcd: DevEtcd, prefix: str, records: Records, tmp_path: Path
) -> None:
    write, dest = Writing(etcd, prefix, tmp_path), tmp_path / "configuration" / "sites.conf"
    records.put(*MANY)
    assert write()
    old = dest.read_bytes()
    with dest.open("rb") as file:
        half = file.read(len(old) // 2)
        records.delete(*MANY[:100])
        assert write()
        assert dest.read_bytes() != old
        assert half + file.read() == old


# At the check, at the reload


def test_a_kill_at_the_check_leaves_the_old_configuration(
    etcd: DevEtcd, prefix: str, records: Records, tmp_path: Path
) -> None:
    site = Site(tmp_path)
    records.put(ONE)
    with site.bed:
        with site.renderer(etcd, prefix):
            site.knows(ONE)
        old = site.dest.read_bytes()
        records.put(TWO)
        with site.renderer(etcd, prefix, check=_killing(tmp_path, "{staged}")) as renderer:
            assert renderer.process.wait(10) == -signal.SIGKILL
        assert site.dest.read_bytes() == old
        with site.renderer(etcd, prefix):
            site.knows(ONE, TWO)
            assert [path.name for path in site.dest.parent.iterdir()] == [site.dest.name]


def test_a_kill_at_the_reload_leaves_the_new_configuration_and_it_is_taken_up_later(
    etcd: DevEtcd, prefix: str, records: Records, tmp_path: Path
) -> None:
    """What is written is not what the proxy works by: the next renderer sees to that."""
    site, state = Site(tmp_path), ("--state", str(tmp_path / "state.json"))
    records.put(ONE)
    with site.bed:
        with site.renderer(etcd, prefix, *state) as renderer:
            site.knows(ONE)
            assert renderer.stop() == 0
        records.put(TWO)
        with site.renderer(etcd, prefix, *state, reload=_killing(tmp_path)) as renderer:
            assert renderer.process.wait(10) == -signal.SIGKILL
        assert TWO in site.dest.read_text()
        site.knows(ONE)
        with site.renderer(etcd, prefix, *state):
            site.knows(ONE, TWO)


def test_what_was_remembered_as_applied_before_a_kill_is_not_believed(
    etcd: DevEtcd, prefix: str, records: Records, tmp_path: Path
) -> None:
    """The configuration is again as it was when that was written down; the proxy is not."""
    site, state = Site(tmp_path), ("--state", str(tmp_path / "state.json"))
    records.put(ONE)
    with site.bed:
        with site.renderer(etcd, prefix, *state) as renderer:
            site.knows(ONE)
            assert renderer.stop() == 0
        with site.renderer(etcd, prefix, *state) as renderer:
            renderer.settles()
            records.put(TWO)
            site.knows(ONE, TWO)
            renderer.stop(signal.SIGKILL)
        records.delete(TWO)
        with site.renderer(etcd, prefix, *state):
            site.knows(ONE)


def _killing(directory: Path, *arguments: str) -> str:
    """A command that kills the renderer that runs it."""
    script = directory / "kill-the-renderer"
    script.write_text("kill -KILL $PPID\n")
    return " ".join(("sh", str(script), *arguments))


# At random moments


def wait_until_staged(directory: Path, dest: Path) -> None:
    """Look so often that the next staged file is seen."""
    deadline_s = time.monotonic() + 5
    while set(os.listdir(directory)) <= {dest.name}:
        assert time.monotonic() < deadline_s, "nothing was staged in 5 s"


def test_kills_at_random_moments_leave_a_whole_file_and_no_litter(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str, tmp_path: Path, directory: Path
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - to try the same again
    chance = random.Random(seed)  # noqa: S311
    template, dest = tmp_path / "streamed.j2", directory / "streamed.conf"
    template.write_text(TEMPLATE)
    at_once = ("--min-wait", "0s", "--max-wait", "0s", "--reload-gap", "0s")
    check = ("--check-cmd", "true {staged}")  # takes its time, and the staged file is there
    settings = ("--template", str(template), "--dest", str(dest), *check, *at_once)

    def version() -> tuple[int, int]:
        if not dest.exists():
            return 0, 0
        stat = dest.stat()
        return stat.st_ino, stat.st_mtime_ns

    litters = 0
    with records_in(own_etcd, prefix) as records, Stream(records, MANY, seed) as stream:
        for number in range(KILLS):
            with Renderer.of(own_etcd.urls, prefix, *settings) as renderer:
                before = version()
                wait_for(lambda before=before: version() != before, what="it wrote")  # type: ignore[misc]
                if number % 2:
                    wait_until_staged(directory, dest)
                else:
                    threading.Event().wait(chance.random() * LONGEST_S)
                renderer.stop(signal.SIGKILL)
            wait_for(lambda: stream.is_whole(dest.read_text()), timeout_s=1)
            litter = [path.name for path in directory.iterdir() if path != dest]
            assert len(litter) <= 1, litter
            litters += len(litter)
    assert litters, "no kill met a write"
    with Renderer.of(own_etcd.urls, prefix, *settings):
        wait_for(lambda: dest.read_text().partition("\n")[2] == stream.last)
        assert [path.name for path in directory.iterdir()] == [dest.name]
