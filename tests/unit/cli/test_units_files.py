"""Units are put in place whole, all of them or none, and never over somebody else's."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from secretary.cli.units.files import Fate, put
from secretary.core.errors import PublishError


def pair(directory: Path, one: str = "one\n", other: str = "other\n") -> dict[Path, str]:
    return {directory / "a.service": one, directory / "b.service.d" / "s.conf": other}


def there(directory: Path) -> Mapping[str, str]:
    """All that is in the directory, what is hidden too."""
    return {
        str(path.relative_to(directory)): path.read_text() if path.is_file() else ""
        for path in directory.rglob("*")
    }


WHOLE = {"a.service": "one\n", "b.service.d": "", "b.service.d/s.conf": "other\n"}


def test_both_are_written_and_nothing_else_is_there(tmp_path: Path) -> None:
    fates = put(pair(tmp_path), force=False)
    assert list(fates.values()) == [Fate.WRITTEN, Fate.WRITTEN]
    assert there(tmp_path) == WHOLE


def test_everybody_may_read_them_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        put(pair(tmp_path), force=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.service").stat().st_mode) == 0o644


def test_what_is_the_same_already_is_left_alone(tmp_path: Path) -> None:
    put(pair(tmp_path), force=False)
    before = (tmp_path / "a.service").stat()
    (tmp_path / "b.service.d" / "s.conf").unlink()
    assert list(put(pair(tmp_path), force=False).values()) == [Fate.UNCHANGED, Fate.WRITTEN]
    assert (tmp_path / "a.service").stat() == before
    assert there(tmp_path) == WHOLE


def test_another_s_file_keeps_both_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "b.service.d").mkdir()
    (tmp_path / "b.service.d" / "s.conf").write_text("mine")
    with pytest.raises(PublishError, match=r"s\.conf is there already, .* --force"):
        put(pair(tmp_path), force=False)
    assert there(tmp_path) == {"b.service.d": "", "b.service.d/s.conf": "mine"}


def test_force_replaces_it(tmp_path: Path) -> None:
    (tmp_path / "a.service").write_text("mine")
    assert list(put(pair(tmp_path), force=True).values()) == [Fate.REPLACED, Fate.WRITTEN]
    assert there(tmp_path) == WHOLE


def test_a_masked_unit_is_somebody_s_word(tmp_path: Path) -> None:
    """`systemctl mask` makes a link to /dev/null, which is replaced itself and not followed."""
    (tmp_path / "a.service").symlink_to("/dev/null")
    with pytest.raises(PublishError, match=r"a\.service is there already"):
        put(pair(tmp_path), force=False)
    put(pair(tmp_path), force=True)
    assert not (tmp_path / "a.service").is_symlink()
    assert there(tmp_path) == WHOLE


@pytest.mark.parametrize("force", [False, True])
def test_when_one_cannot_be_written_none_is(tmp_path: Path, force: bool) -> None:
    texts = {tmp_path / "not" / "there" / "b.service": "b", **pair(tmp_path)}
    with pytest.raises(PublishError, match=r"b\.service cannot be written: No such file"):
        put(dict(reversed(texts.items())), force=force)
    assert there(tmp_path) == {}


def test_what_was_replaced_comes_back_when_another_cannot_be(tmp_path: Path) -> None:
    """A directory in a file's place is found out only when the file is to be put there."""
    (tmp_path / "a.service").write_text("mine")
    (tmp_path / "b.service.d" / "s.conf").mkdir(parents=True)
    with pytest.raises(PublishError, match=r"s\.conf cannot be written"):
        put(pair(tmp_path), force=True)
    assert there(tmp_path) == {"a.service": "mine", "b.service.d": "", "b.service.d/s.conf": ""}


def test_what_was_added_goes_again_when_another_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "b.service.d" / "s.conf").mkdir(parents=True)
    with pytest.raises(PublishError, match=r"s\.conf cannot be written"):
        put(pair(tmp_path), force=True)
    assert there(tmp_path) == {"b.service.d": "", "b.service.d/s.conf": ""}
