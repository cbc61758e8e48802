"""A destination is the old file or the new one, whole; what goes wrong is one line."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from secretary.core.errors import PublishError
from secretary.core.settings import Owner
from secretary.renderer.files import Destination, check_regular


def write(destination: Destination, content: bytes) -> None:
    with destination.staged(content) as staged:
        destination.swap(staged)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_can_be_read_by_all_and_nothing_else_is_left(tmp_path: Path) -> None:
    write(Destination(str(tmp_path / "a.conf")), b"new")
    assert (tmp_path / "a.conf").read_bytes() == b"new"
    assert mode(tmp_path / "a.conf") == 0o644
    assert os.listdir(tmp_path) == ["a.conf"]


def test_what_is_not_swapped_in_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_bytes(b"old")
    with Destination(str(tmp_path / "a.conf")).staged(b"new") as staged:
        assert staged.read_bytes() == b"new"
        assert staged.parent == tmp_path
        assert staged.name.startswith(".")
        assert not staged.name.endswith(".conf")  # no pattern of a proxy's include takes it
    assert os.listdir(tmp_path) == ["a.conf"]
    assert (tmp_path / "a.conf").read_bytes() == b"old"


def test_the_mode_stays_unless_one_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write(Destination(str(path)), b"new")
    assert mode(path) == 0o600
    write(Destination(str(path), 0o640), b"newer")
    assert mode(path) == 0o640


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays_unless_one_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    write(Destination(str(path)), b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)
    write(Destination(str(path), owner=Owner("4321", "5432")), b"newer")
    assert (path.stat().st_uid, path.stat().st_gid) == (4321, 5432)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.conf").write_bytes(b"old")
    (tmp_path / "link.conf").symlink_to("real.conf")
    write(Destination(str(tmp_path / "link.conf")), b"new")
    assert (tmp_path / "link.conf").is_symlink()
    assert (tmp_path / "real.conf").read_bytes() == b"new"


def test_what_a_killed_predecessor_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path / "a.conf"))
    with destination.staged(b"new") as staged:
        os.link(staged, f"{staged}x")
    (tmp_path / ".a.conf.swp").touch()
    destination.tidy()
    assert os.listdir(tmp_path) == [".a.conf.swp"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing/a.conf", "cannot be written: No such file"), (".", "is not a regular file")],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, name: str, message: str) -> None:
    destination = Destination(str(tmp_path / name))

    def replace() -> None:
        destination.read()
        write(destination, b"new")

    with pytest.raises(PublishError) as caught:
        replace()
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_wrapped_fragment_is_included_by_a_main_configuration(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path / "a.conf"))
    with destination.staged(b"x") as staged, destination.wrapped(staged) as main:
        fragment = main.with_name("fragment.conf")
        assert f"include {fragment};" in main.read_text()
        assert fragment.read_bytes() == b"x"
    assert not main.exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_not_a_file_is_neither_read_nor_replaced(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """As root a rename would put a file in the place of /dev/null."""
    make(tmp_path / "odd")
    destination = Destination(str(tmp_path / "odd"))
    for act in (destination.read, lambda: write(destination, b"new")):
        with pytest.raises(PublishError, match="is not a regular file"):
            act()
    with pytest.raises(ValueError, match="is not a regular file"):
        check_regular(str(tmp_path / "odd"))
    assert os.listdir(tmp_path) == ["odd"]


def test_what_cannot_be_renamed_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a single file that is mounted into a container; tests/system has a real mount."""

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "busy")

    path = tmp_path / "a.conf"
    path.write_bytes(b"a long old content")
    inode = path.stat().st_ino
    monkeypatch.setattr(os, "rename", busy)
    destination = Destination(str(path))
    for content in (b"new", b"", b"newer and longer than the old content"):
        write(destination, content)
        assert (path.read_bytes(), path.stat().st_ino) == (content, inode)
    assert caplog.text.count("is written in place") == 1
    assert os.listdir(tmp_path) == ["a.conf"]


def test_a_disk_that_is_full_in_place_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", lambda *_: full_or_busy())

    def full_or_busy() -> None:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(PublishError, match="cannot be replaced: No space left"):
        write(Destination(str(path)), b"new")
    assert path.read_bytes() == b"old"
