"""A virtualenv with Nova in it, in the user's cache: a minute and 400 MB, once for each lock."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.system.debian import made_once

_LOCK: Final = Path(__file__).parents[2] / "requirements/nova.txt"
_TIMEOUT_S: Final = 900


def nova_python() -> Path:
    """Return the interpreter that has Nova; AssertionError with what pip said if it fails."""
    of_what = f"{sys.version}{os.uname().machine}".encode() + _LOCK.read_bytes()
    return made_once(f"nova-{hashlib.sha256(of_what).hexdigest()[:12]}", _make) / "bin/python"


def _make(home: Path) -> None:
    _run(sys.executable, "-m", "venv", str(home))
    pip = (str(home / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "install", "--require-hashes", f"--requirement={_LOCK}")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
