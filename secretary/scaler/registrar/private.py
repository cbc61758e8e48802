"""A directory in which nobody else looks, and that the next one removes when we are killed."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path


class Private:
    """Stands until `remove`. One whose process was killed goes when the next one is made."""

    def __init__(self, prefix: str) -> None:
        """OSError when it cannot be made."""
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            _remove_left(left)
        self.path, self._held = _made(prefix)
        while not self.path.exists():  # another, that began just now, took it for left behind
            os.close(self._held)
            self.path, self._held = _made(prefix)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._held)


def _made(prefix: str) -> tuple[Path, int]:
    """Return a new directory, and what holds it until we end, however that comes."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    return path, held


def _remove_left(path: Path) -> None:
    """Remove it, if it is ours and nobody has it any more."""
    with contextlib.suppress(OSError):
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            about = os.fstat(held)
            if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) != stat.S_IRWXU:
                return
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
        finally:
            os.close(held)
