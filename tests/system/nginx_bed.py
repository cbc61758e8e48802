"""A real nginx for a test, in a directory of its own.

    with NginxBed(tmp_path) as bed:
        (bed.fragments / "sites.conf").write_text(fragment)
        bed.reload()

The fragments stand inside `http { }`, as in a distribution's conf.d, and listen on
`tests.apps.free_port()`. The bed itself listens on one port more, only to tell which processes
answer.
"""

import contextlib
import http.client
import os
import signal
import subprocess
from pathlib import Path
from typing import Self

import psutil

from tests.apps import free_port
from tests.waiting import wait_for

BINARY = "/usr/sbin/nginx"
IP = "127.0.0.1"
_ENDING_S = 5.0
_MAIN = """\
{user}daemon off;
worker_processes 2;
pid {pidfile};
error_log stderr warn;
events {{
    worker_connections 512;
}}
http {{
    access_log off;
    default_type text/plain;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {port};
        keepalive_timeout 0;
        return 200 $pid;
    }}
    include {fragments}/*.conf;
}}
"""


class NginxBed:
    """nginx as a master with two workers while entered, ended by its pid; its log on failure.

    `fragments` is the directory whose `*.conf` are read, `config` the main configuration,
    `pidfile` the file that a `signal:HUP@PIDFILE` reload reads.
    """

    def __init__(self, directory: Path, **fragments: str) -> None:
        """`fragments` are file names without `.conf`, and their texts."""
        self.fragments = directory / "conf.d"
        self.config = directory / "nginx.conf"
        self.pidfile = directory / "nginx.pid"
        self._log = directory / "nginx.log"
        self._port = free_port()
        self.fragments.mkdir(exist_ok=True)
        for name, text in fragments.items():
            (self.fragments / f"{name}.conf").write_text(text)
        self.config.write_text(
            _MAIN.format(
                # Else root's workers are nobody, who may write no bodies to the test's directory.
                user="user root;\n" if os.geteuid() == 0 else "",
                directory=directory,
                fragments=self.fragments,
                pidfile=self.pidfile,
                port=f"{IP}:{self._port}",
            )
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        self.stop()
        if failure is not None:
            print(self.log)  # noqa: T201 - pytest shows it with the failure

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "-e", "stderr", "-c", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_for(self._answers, what=f"nginx answered: {self.log}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the master and all its workers, also stopped ones; may be called twice."""
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            master = psutil.Process(self.process.pid)
            family = master.children(recursive=True)
            master.resume()
        for worker in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.resume()
        # A master that is told to ends and waits for its workers; without it init has to, some day.
        self.process.terminate()
        try:
            self.process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for worker in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        psutil.wait_procs(family, timeout=10)

    def reload(self) -> None:
        """Send SIGHUP to the master and wait until only new workers answer and accept.

        AssertionError with the log if the configuration is refused.
        """
        before, mark = self.worker_pids, len(self.log)
        os.kill(self.pid, signal.SIGHUP)

        def renewed() -> bool:
            said = self.log[mark:]
            if "[emerg]" in said:
                raise AssertionError(f"nginx refused the configuration: {said}")
            return self._answers() not in (0, *before) and not before & self.accepting_pids

        wait_for(renewed, what=f"nginx had reloaded: {self.log}")

    def check(self, config: Path | None = None) -> str:
        """Return what `nginx -t` says of a main configuration; nothing when it is clean.

        AssertionError if it is refused.
        """
        told = subprocess.run(
            [BINARY, "-q", "-t", "-e", "stderr", "-c", str(config or self.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        return told.stdout + told.stderr

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """The master's."""
        return self.process.pid

    @property
    def worker_pids(self) -> set[int]:
        """All workers, also those that only end what they have begun."""
        return {child.pid for child in psutil.Process(self.pid).children()}

    @property
    def accepting_pids(self) -> set[int]:
        """The workers that have not been told to go."""
        pids = set()
        for child in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "shutting down" not in " ".join(child.cmdline()):
                    pids.add(child.pid)
        return pids

    def _answers(self) -> int:
        """Return the pid of the worker that answers, else 0."""
        if self.process.poll() is not None:
            raise AssertionError(f"nginx ended by itself: {self.log}")
        connection = http.client.HTTPConnection(IP, self._port, timeout=5)
        try:
            connection.request("GET", "/")
            return int(connection.getresponse().read())
        except OSError:
            return 0
        finally:
            connection.close()
