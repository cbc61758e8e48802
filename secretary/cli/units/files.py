"""Unit files are put in place: all of them or none, over others only when told to."""

import contextlib
import enum
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from secretary.core.errors import PublishError

MODE: Final = 0o644


class Fate(enum.Enum):
    """What becomes of a file."""

    WRITTEN = "written"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


def put(texts: Mapping[Path, str], *, force: bool) -> dict[Path, Fate]:
    """Write each text to its path. PublishError when one cannot be; then none is.

    The directory of a path is made, but not the one above that.
    """
    fates = {path: _fate(path, text) for path, text in texts.items()}
    if not force:
        for path, fate in fates.items():
            if fate is Fate.REPLACED:
                raise _there(path)
    with ExitStack() as tidy, ExitStack() as undo:
        staged = {
            path: _staged(path, text, tidy)
            for path, text in texts.items()
            if fates[path] is not Fate.UNCHANGED
        }
        for path, at in staged.items():
            with _told(path):
                if fates[path] is Fate.WRITTEN:
                    _add(at, path, undo)
                else:
                    _replace(at, path, undo, tidy)
        undo.pop_all()
    return fates


def _fate(path: Path, text: str) -> Fate:
    if not os.path.lexists(path):
        return Fate.WRITTEN
    with contextlib.suppress(OSError):
        if path.is_file() and path.read_bytes() == text.encode():
            return Fate.UNCHANGED
    return Fate.REPLACED


def _staged(path: Path, text: str, tidy: ExitStack) -> Path:
    """Write the text beside its destination, synced to disk, and return where."""
    with _told(path):
        if not path.parent.exists():
            path.parent.mkdir()
            tidy.callback(_remove_if_empty, path.parent)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        tidy.callback(_sync, path.parent)
        tidy.callback(Path(name).unlink, missing_ok=True)
        with open(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fchmod(descriptor, MODE)
            os.fsync(descriptor)
    return Path(name)


def _add(staged: Path, path: Path, undo: ExitStack) -> None:
    """Put a file where none is: one that has come there meanwhile stays."""
    try:
        os.link(staged, path)
    except FileExistsError:
        raise _there(path) from None
    undo.callback(path.unlink)


def _replace(staged: Path, path: Path, undo: ExitStack, tidy: ExitStack) -> None:
    before = staged.with_name(f"{staged.name}.before")
    os.link(path, before, follow_symlinks=False)
    tidy.callback(before.unlink, missing_ok=True)
    os.rename(staged, path)
    undo.callback(os.rename, before, path)


def _remove_if_empty(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _there(path: Path) -> PublishError:
    return PublishError(f"{path} is there already, and other than it would be: --force replaces it")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PublishError(f"{path} cannot be written: {error.strerror}") from error
