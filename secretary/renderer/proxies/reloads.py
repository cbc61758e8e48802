"""The ways of asking a proxy to read its configuration again: once, within a deadline.

That it was asked is all that they know; whether it did is `handover`'s.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from secretary.core.errors import ReloadFailed
from secretary.core.values import printable
from secretary.renderer.proxies import processes
from secretary.renderer.proxies.command import Commands
from secretary.renderer.proxies.processes import Answer

DOCKER_TIMEOUT_S: Final = 10
PIDFILE_S: Final = 0.5
_PROXY: Final = re.compile(r"\S+: master process|(?:\S*/)?(?:nginx|haproxy)(?: |$)")
"""The title of a proxy's main process: nginx's own of itself, and its kin's; or the program's."""


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
    """Never ends a process that does not know the signal: a pid file may be out of date."""

    def __init__(self, name: str, pidfile: str) -> None:
        self._name = name
        self._pidfile = pidfile

    def __call__(self) -> None:
        pid = pid_in(self._pidfile)
        number = signal.Signals[f"SIG{self._name}"]
        answer = processes.ready(pid, number, but=set(Answer) - {Answer.HANDLED})
        named = f"process {pid}, which {self._pidfile} names"
        try:
            if not processes.is_running(pid):  # one that is still to be waited for takes signals
                raise ProcessLookupError
            if answer in (Answer.IGNORED, Answer.ENDED):
                does = "ignores" if answer is Answer.IGNORED else "would be ended by"
                raise ReloadFailed(
                    f"reload failed: {named}, {does} SIG{self._name}: it is {_titled(pid)};"
                    " is the file out of date?"
                )
            os.kill(pid, number)
        except ProcessLookupError:
            raise ReloadFailed(f"reload failed: no {named}: the proxy is down") from None
        except PermissionError:
            raise ReloadFailed(
                f"reload failed: {named}, is another user's: we may not signal it"
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
    """Return the id of the process that a file names. ReloadFailed when it names none.

    Looks for PIDFILE_S: HAProxy removes the file and writes it anew at each reload.
    """
    until_s = time.monotonic() + PIDFILE_S
    while (text := _text_of(pidfile)) in (None, "") and time.monotonic() < until_s:
        threading.Event().wait(processes.LOOK_S)
    if text is None:
        raise ReloadFailed(f"reload failed: there is no {pidfile}: the proxy is down")
    if text == "1" and not _PROXY.match(processes.title(1)):
        # The file is a container's, and we see it from outside; process 1 is some kind of init.
        raise ReloadFailed(
            f"reload failed: {pidfile} names process 1, which is the proxy only within its own"
            f" container; here it is {_titled(1)}: share that container's process namespace, or say"
            " docker:CONTAINER:SIGNAL"
        )
    if not text.isdecimal() or not 1 <= int(text) < 2**31:
        raise ReloadFailed(f"reload failed: {pidfile} does not hold the id of a process")
    return int(text)


def _text_of(pidfile: str) -> str | None:
    """Return what the file says; None when there is none."""
    try:
        return Path(pidfile).read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReloadFailed(f"reload failed: {pidfile}: {error.strerror}") from error


def _titled(pid: int) -> str:
    """Return a process's title, as far as it goes into a line."""
    return printable(processes.title(pid))[:80] or "a process without a title"
