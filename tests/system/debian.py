"""Debian trees in the user's cache, made with debootstrap once for each list of packages.

No image is ever pulled.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

SUITE: Final = "bookworm"
CA_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_TIMEOUT_S: Final = 900


def debian(packages: Sequence[str]) -> Path:
    """Return a minimal tree with these packages; nobody is to write to it."""
    key = hashlib.sha256(" ".join((SUITE, *packages)).encode()).hexdigest()[:12]

    def make(root: Path) -> None:
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}"]
        done = subprocess.run(
            [*command, SUITE, str(root)],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"debootstrap failed:\n{done.stdout[-3000:]}{done.stderr}"
        shutil.rmtree(root / "var/cache/apt/archives")

    return made_once(f"{SUITE}-{key}", make)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the cache's directory of that name; if it is not there, `make` fills a new one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "secretary-tests"
    directory = cache / name
    if not directory.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
        make(made)
        made.chmod(0o755)
        try:
            made.rename(directory)
        except OSError:  # another run was quicker
            shutil.rmtree(made)
    return directory
