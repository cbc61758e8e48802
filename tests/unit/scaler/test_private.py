"""A directory of a process's own, also after it was killed."""

import os
from pathlib import Path

import pytest

from secretary.scaler.registrar.private import Private


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def left(place: Path, name: str = "mine-left") -> Path:
    """What one leaves behind that was killed."""
    directory = place / name
    directory.mkdir(mode=0o700)
    (directory / "machines.toml").write_text("x")
    return directory


def test_nobody_else_looks_in_it_and_it_goes_at_the_end(place: Path) -> None:
    private = Private("mine-")
    assert private.path.stat().st_mode & 0o777 == 0o700
    (private.path / "machines.toml").write_text("x")
    private.remove()
    assert not list(place.iterdir())


def test_what_one_has_left_that_was_killed_goes_when_the_next_begins(place: Path) -> None:
    left(place)
    private = Private("mine-")
    assert list(place.iterdir()) == [private.path]
    private.remove()


def test_that_of_one_that_runs_stays(place: Path) -> None:
    first, second = Private("mine-"), Private("mine-")
    assert first.path.exists()
    second.remove()
    first.remove()


def test_what_is_not_ours_stays(place: Path) -> None:
    open_to_others = left(place)
    open_to_others.chmod(0o755)
    elsewhere = left(place, "elsewhere")
    os.symlink(elsewhere, place / "mine-link")
    (place / "mine-file").write_text("x")
    private = Private("mine-")
    private.remove()
    assert {each.name for each in place.iterdir()} == {
        "mine-left", "elsewhere", "mine-link", "mine-file"
    }  # fmt: skip
    assert (elsewhere / "machines.toml").exists()
