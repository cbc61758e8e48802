"""A file that is replaced as a whole: staged beside its destination, then renamed over it.

Whoever reads the destination sees the old content or the new one, also when this process is
killed or the disk is full. Where a rename is impossible, as for a single file that is mounted
into a container, the content is written in place and the log says so once.
"""

import contextlib
import errno
import grp
import io
import logging
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from secretary.core.errors import PublishError
from secretary.core.settings import Owner

_log = logging.getLogger(__name__)

DEFAULT_MODE: Final = 0o644
FRAGMENT: Final = "fragment.conf"
_MARK: Final = ".secretary-"
_WRAPPER: Final = """pid {pid};
error_log stderr;
events {{
}}
http {{
    include {fragment};
}}
"""


class Destination:
    """One file. All methods raise PublishError with one line that names it."""

    def __init__(self, path: str, mode: int | None = None, owner: Owner | None = None) -> None:
        self.path = Path(path)
        self._mode = mode
        self._owner = owner
        self._in_place = False
        self._said_owner = False

    def read(self) -> bytes | None:
        """Return what is there; None when there is no file."""
        try:
            # Without waiting: what looks like a file may be a pipe that nobody fills.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("cannot be read", error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PublishError(f"{self.path} is not a regular file")
        with open(descriptor, "rb") as file:
            try:
                return file.read()
            except OSError as error:
                raise self._failed("cannot be read", error) from error

    @contextlib.contextmanager
    def staged(self, content: bytes) -> Iterator[Path]:
        """Write `content` beside the destination, synced; gone at the end unless swapped in."""
        target = self._target()
        if target.exists() and not target.is_file():
            raise PublishError(f"{self.path} is not a regular file")
        staged: str | None = None
        try:
            try:
                descriptor, staged = self._make(target)
                with open(descriptor, "wb") as file:
                    self._dress(file.fileno(), target)
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise self._failed("cannot be written", error) from error
            yield Path(staged)
        finally:
            if staged is not None:
                with contextlib.suppress(OSError):
                    os.unlink(staged)

    def _make(self, target: Path) -> tuple[int, str]:
        """Make the file to stage in: elsewhere if only the destination itself may be written."""
        prefix = f".{target.name}{_MARK}"
        try:
            return tempfile.mkstemp(prefix=prefix, dir=target.parent)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS) or not os.access(target, os.W_OK):
                raise
            self._write_in_place(f"{target.parent} cannot be written")
            return tempfile.mkstemp(prefix=prefix)

    @contextlib.contextmanager
    def wrapped(self, staged: Path) -> Iterator[Path]:
        """Make a main configuration of nginx that includes the staged file, as its FRAGMENT."""
        with tempfile.TemporaryDirectory(prefix="secretary-check-") as directory:
            main, fragment = Path(directory, "nginx.conf"), Path(directory, FRAGMENT)
            fragment.symlink_to(staged)  # whose own name may mean something to nginx
            main.write_text(_WRAPPER.format(pid=Path(directory, "pid"), fragment=fragment))
            yield main

    def swap(self, staged: Path) -> None:
        """Put the staged file in the destination's place."""
        target = self._target()
        try:
            if not self._in_place:
                try:
                    os.rename(staged, target)
                except OSError as error:
                    if error.errno not in (errno.EBUSY, errno.EXDEV):
                        raise
                    self._write_in_place("it is a mount of its own")
            if self._in_place:
                _overwrite(target, staged.read_bytes())
            else:
                _sync_directory(target.parent)
        except OSError as error:
            raise self._failed("cannot be replaced", error) from error

    def _write_in_place(self, why: str) -> None:
        if not self._in_place:
            _log.warning(
                "%s is written in place, and whoever reads it meanwhile may see a part: %s;"
                " mount its directory instead",
                self.path,
                why,
            )
        self._in_place = True

    def tidy(self) -> None:
        """Remove what a predecessor that was killed has left staged."""
        with contextlib.suppress(OSError, PublishError):
            target = self._target()
            for left in target.parent.glob(f".{target.name}{_MARK}*"):
                left.unlink()

    def _target(self) -> Path:
        """Return the file itself, where the destination is a symbolic link to it."""
        try:
            return self.path.resolve()
        except (OSError, RuntimeError) as error:
            raise PublishError(f"{self.path}: cannot be resolved: {error}") from error

    def _dress(self, descriptor: int, target: Path) -> None:
        """Give the staged file the owner and mode it is to have."""
        there = None
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(target)
        if self._owner is not None:
            os.fchown(descriptor, *_ids(self._owner))
        elif there is not None and (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
            self._keep_owner(descriptor, there)
        mode = self._mode
        if mode is None:
            mode = DEFAULT_MODE if there is None else stat.S_IMODE(there.st_mode)
        os.fchmod(descriptor, mode)

    def _keep_owner(self, descriptor: int, there: os.stat_result) -> None:
        """Give the staged file the owner of the one there, or at least its group."""
        for uid in (there.st_uid, -1):  # only root gives files away, a member to the group
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, uid, there.st_gid)
                return
        if not self._said_owner:
            _log.warning(
                "%s belongs to %d:%d, and we cannot leave it so: it becomes %d:%d",
                *(self.path, there.st_uid, there.st_gid, os.geteuid(), os.getegid()),
            )
        self._said_owner = True

    def _failed(self, what: str, error: OSError) -> PublishError:
        return PublishError(f"{self.path} {what}: {error.strerror or error}")


def check_regular(path: str) -> None:
    """Raise ValueError when something else than a file stands there."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # not there yet, or not to be seen: the first try will tell
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is not a regular file")


def check_owner(owner: Owner) -> None:
    """Raise ValueError when there is no such user or group here."""
    _ids(owner)


def _ids(owner: Owner) -> tuple[int, int]:
    try:
        user = int(owner.user) if owner.user.isdecimal() else pwd.getpwnam(owner.user).pw_uid
    except KeyError:
        raise ValueError(f"there is no user {owner.user}") from None
    if owner.group is None:
        return user, -1
    try:
        return user, (
            int(owner.group) if owner.group.isdecimal() else grp.getgrnam(owner.group).gr_gid
        )
    except KeyError:
        raise ValueError(f"there is no group {owner.group}") from None


def _overwrite(target: Path, content: bytes) -> None:
    """Write in place: all of it, or the old content again."""
    with target.open("r+b", buffering=0) as file:
        before = file.read()
        try:
            os.posix_fallocate(file.fileno(), 0, len(content) or 1)  # a full disk is full here
            _rewrite(file, content)
        except OSError:
            with contextlib.suppress(OSError):
                _rewrite(file, before)
            raise


def _rewrite(file: io.FileIO, content: bytes) -> None:
    file.seek(0)
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]
    file.truncate()
    os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
