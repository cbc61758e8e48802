"""A destination is the old file or the new one, whole; what goes wrong is one line."""

import os
import stat
from pathlib import Path

import pytest

from secretary.core.errors import PublishError
from secretary.core.settings import Owner
from secretary.renderer.files import Destination


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
    [("missing/a.conf", "cannot be written: No such file"), (".", "cannot be read: Is a dir")],
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
