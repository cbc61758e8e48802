"""The ways of asking a proxy to read its configuration again: once, within a deadline."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from secretary.core.errors import ReloadFailed
from secretary.renderer.proxies.command import Commands

DOCKER_TIMEOUT_S: Final = 10


class CommandReload:
    def __init__(self, arguments: Sequence[str], timeout_s: float, commands: Commands) -> None:
        self._arguments = arguments
        self._timeout_s = timeout_s
        self._commands = commands

    def __call__(self) -> None:
        ran = self._commands.run(self._arguments, self._timeout_s)
        if ran.status != 0:
            raise ReloadFailed(f"reload failed: {ran.said}")


class SignalReload:
    def __init__(self, name: str, pidfile: str) -> None:
        self._name = name
        self._pidfile = pidfile

    def __call__(self) -> None:
        pid = pid_in(self._pidfile)
        try:
            os.kill(pid, signal.Signals[f"SIG{self._name}"])
        except ProcessLookupError:
            raise ReloadFailed(
                f"reload failed: no process {pid}, which {self._pidfile} names: the proxy is down"
            ) from None
        except PermissionError:
            raise ReloadFailed(
                f"reload failed: process {pid} of {self._pidfile} is another user's: we may not"
                " signal it"
            ) from None


class DockerReload:
    """Needs the package `docker` and a Docker daemon that lets us in; both are looked for here."""

    def __init__(self, container: str, name: str) -> None:
        self._container = container
        self._name = name

    def __call__(self) -> None:
        try:
            import docker
            import docker.errors
        except ModuleNotFoundError:
            raise ReloadFailed(
                "reload failed: docker: needs the extra [docker] of secretary"
            ) from None
        try:
            client = docker.from_env(timeout=DOCKER_TIMEOUT_S)
            try:
                client.containers.get(self._container).kill(signal=f"SIG{self._name}")
            finally:
                client.close()
        except docker.errors.NotFound:
            raise ReloadFailed(f"reload failed: no container {self._container}") from None
        except docker.errors.APIError as error:
            said = error.explanation or str(error)
            raise ReloadFailed(f"reload failed: container {self._container}: {said}") from error
        except Exception as error:  # the library lets through what those below it raise
            said = " ".join(str(error).split())[:200]
            raise ReloadFailed(f"reload failed: Docker does not answer: {said}") from error


def pid_in(pidfile: str) -> int:
    """Return the id of the process that a file names. ReloadFailed when it names none."""
    try:
        text = Path(pidfile).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ReloadFailed(f"reload failed: {pidfile}: {reason}: the proxy is down") from error
    if not text.isdecimal() or not 1 < int(text) < 2**31:
        raise ReloadFailed(f"reload failed: {pidfile} does not hold the id of a process")
    return int(text)
