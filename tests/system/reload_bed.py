"""Reloads as a group of templates makes them of its settings, for the tests of reloads."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from secretary.core.errors import ReloadFailed
from secretary.core.settings import GroupSettings, Reload, TemplateSettings
from secretary.renderer.proxies import Proxies
from tests.system.docker_bed import CHECKOUT
from tests.system.nginx_bed import BINARY, IP, NginxBed
from tests.waiting import wait_for

_BESIDE = """\
import logging, sys
from secretary.core.settings import SignalReload
from tests.system.reload_bed import reload
logging.basicConfig(level=logging.INFO)
reload(SignalReload("HUP", sys.argv[1]))
"""


def group(how: Reload, pidfile: Path | None = None, **more: float) -> GroupSettings:
    return GroupSettings(
        templates=(TemplateSettings(dest="/a", template="/t"),),
        reload=how,
        pidfile=str(pidfile) if pidfile else None,
        **more,  # type: ignore[arg-type]
    )


def reload(how: Reload, pidfile: Path | None = None, **more: float) -> None:
    """Reload as a group with these settings would."""
    made = Proxies().reload(group(how, pidfile, **more))
    assert made is not None
    made()


def refusal(how: Reload, pidfile: Path | None = None, **more: float) -> str:
    with pytest.raises(ReloadFailed) as caught:
        reload(how, pidfile, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def front(port: int) -> str:
    """A configuration of haproxy, after its global section."""
    config = "defaults\n    mode http\n    timeout client 5s\n    timeout connect 1s\n"
    return f"{config}    timeout server 5s\nfrontend in\n    bind {IP}:{port}\n"


def stub_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@dataclass(frozen=True, slots=True)
class Process1:
    """nginx as process 1 of a namespace of its own, as in a container."""

    pid: int
    """Its number outside."""
    pidfile: Path

    @property
    def workers(self) -> set[int]:
        """Those that have not been told to go."""
        workers = psutil.Process(self.pid).children()
        return {worker.pid for worker in workers if "shutting down" not in worker.cmdline()[0]}

    def reload_beside(self) -> None:
        """Reload it from another process in its namespace; AssertionError unless it was seen."""
        enter = ("nsenter", f"--target={self.pid}", "--pid", "--mount")
        done = subprocess.run(
            [*enter, sys.executable, "-c", _BESIDE, str(self.pidfile)],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "cannot be watched" not in done.stderr


@contextmanager
def nginx_as_process_1(directory: Path) -> Iterator[Process1]:
    bed = NginxBed(directory)
    alone = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    with (directory / "nginx.log").open("ab") as log:
        outside = subprocess.Popen(
            [*alone, BINARY, "-e", "stderr", "-c", str(bed.config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: bed.pidfile.exists() and bed.pidfile.read_text() == "1\n")
        (nginx,) = psutil.Process(outside.pid).children()
        process_1 = Process1(nginx.pid, bed.pidfile)
        wait_for(lambda: process_1.workers, what="it had workers")
        yield process_1
    finally:
        outside.kill()  # and with it nginx, and with that all in its namespace
        outside.wait()
