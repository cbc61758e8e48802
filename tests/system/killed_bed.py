"""`secretary render --once` that is killed just before a step of what it does to a directory.

Python itself says which step comes: opening, renaming, removing, changing a mode, starting a
command (see `sys.addaudithook`). The program runs as it is.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

from secretary.devetcd import DevEtcd
from tests.secretaries import environ

_KILLED_AT = """
import os, runpy, signal, sys

directory, at = sys.argv[1], int(sys.argv[2])
step = 0


def is_there(argument):
    try:
        if isinstance(argument, int):
            argument = os.readlink(f"/proc/self/fd/{argument}")
        return directory in str(argument)
    except OSError:
        return False


def watch(event, arguments):
    global step
    if event.startswith(("open", "os.", "subprocess.")) and any(map(is_there, arguments[:2])):
        step += 1
        if step == at:
            os.kill(os.getpid(), signal.SIGKILL)


sys.argv = ["secretary", *sys.argv[3:]]
sys.addaudithook(watch)
runpy.run_module("secretary", run_name="__main__")
"""
"""Runs secretary, and kills it just before the step of this number that concerns a directory."""


class Writing:
    """`secretary render --once`, which can be killed at each step of what it does to a directory.

    Its configuration and its memory are alone in one directory each.
    """

    def __init__(self, etcd: DevEtcd, prefix: str, directory: Path) -> None:
        self._dest = directory / "configuration" / "sites.conf"
        self._state = directory / "memory" / "state.json"
        for path in (self._dest, self._state):
            path.parent.mkdir()
        self._settings = (
            *("--etcd", etcd.urls[0], "--prefix", prefix, "--status", "off"),
            *("--builtin", "nginx", "--dest", str(self._dest), "--check-cmd", "true {staged}"),
            *("--state", str(self._state)),
        )

    def __call__(self, where: str = "", step: int = 0) -> bool:
        """Let it write; say whether it came to its end, not to that step."""
        directory = self._dest.parent.parent / where
        launcher = (sys.executable, "-c", _KILLED_AT, str(directory), str(step))
        ran = subprocess.run(
            [*launcher, "render", "--once", *self._settings],
            env=environ(),
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode in (0, -signal.SIGKILL), ran.stderr.decode()
        return ran.returncode == 0

    def found(self, where: str) -> object:
        """Return what is written there: the text, or the keys that are remembered."""
        if where == "configuration":
            return self._dest.read_bytes()
        return set(json.loads(self._state.read_bytes())["records"])

    def litter(self) -> set[Path]:
        return self._files() - {self._dest, self._state}

    def put_back(self, files: dict[Path, bytes]) -> None:
        """Let there be these files, as `files` once had them, and no other."""
        for path in self._files() - files.keys():
            path.unlink()
        for path, content in files.items():
            path.write_bytes(content)

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self._files()}

    def _files(self) -> set[Path]:
        return {*self._dest.parent.iterdir(), *self._state.parent.iterdir()}
