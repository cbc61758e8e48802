"""A secretary as its users run it: a process of its own."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.waiting import wait_for

IP = "127.0.0.1"


def environ(**more: str) -> dict[str, str]:
    """This process's environment without what is meant for a secretary."""
    return {k: v for k, v in os.environ.items() if not k.startswith("SECRETARY_")} | more


def run(*arguments: str, timeout_s: float = 30, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(
        [sys.executable, "-m", "secretary", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environ(**env),
        check=False,
    )


class Secretary:
    """`secretary VERB` while entered; killed at the end if it still runs. `log` is its stderr."""

    def __init__(self, *arguments: str, verb: str = "run", **env: str) -> None:
        self._arguments = (verb, *arguments)
        self._env = env
        self._file = tempfile.NamedTemporaryFile(prefix="secretary-", suffix=".log")  # noqa: SIM115

    @classmethod
    def beside(
        cls,
        port: int,
        etcd: Sequence[str],
        prefix: str,
        *more: str,
        name: str = "web",
        probe: str | None = None,
        ttl: str = "10s",
    ) -> Self:
        """A secretary of the app on this port, with quick probes and a status server."""
        return cls(
            *("--name", name, "--ip", IP, "--port", str(port), "--prefix", prefix),
            *("--probe", probe or f"http://{IP}:{port}/healthz"),
            *("--interval", "500ms", "--fast-interval", "100ms", "--timeout", "500ms"),
            *("--etcd", ",".join(etcd), "--ttl", ttl, "--status", f"{IP}:0", *more),
        )

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "secretary", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            env=environ(**self._env),
        )
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is not None:
            print(self.log)  # noqa: T201 - pytest shows it with the failure
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._file.close()

    @property
    def log(self) -> str:
        return Path(self._file.name).read_text()

    @property
    def complaints(self) -> list[str]:
        """What the log holds of warnings and errors, without the time."""
        lines = (line.partition(" ")[2] for line in self.log.splitlines())
        return [line for line in lines if line.startswith(("WARNING ", "ERROR "))]

    def says(self, words: str, *, timeout_s: float = 15) -> None:
        """Wait until the log holds `words`."""
        wait_for(
            lambda: words in self.log or (self.process.poll() is not None and self._ended(words)),
            timeout_s=timeout_s,
            what=f"the log said {words!r}",
        )

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(signum)
        return self.process.wait(30)

    def page(self, path: str) -> tuple[int, str]:
        """Ask the status server."""
        connection = http.client.HTTPConnection(IP, self.status_port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Return what /status says of the first service."""
        return self.services()[0]

    def services(self) -> list[dict[str, Any]]:
        """Return what /status says of each service."""
        told: list[dict[str, Any]] = json.loads(self.page("/status")[1])["services"]
        return told

    def probes(self) -> int:
        """Return how many probes have passed."""
        return self._metric(r'secretary_probes_total\{[^}]*outcome="pass"[^}]*\}')

    def errors(self) -> int:
        """Return how many calls to etcd have failed."""
        return self._metric("secretary_etcd_errors_total")

    def _metric(self, pattern: str) -> int:
        found = re.search(f"^{pattern} (\\d+)", self.page("/metrics")[1], re.MULTILINE)
        assert found
        return int(found.group(1))

    @property
    def status_port(self) -> int:
        where = re.compile(r"status pages at http://127\.0\.0\.1:(\d+)")
        found = wait_for(
            lambda: where.search(self.log), what="the log said where the status pages are"
        )
        return int(found.group(1))

    def _ended(self, words: str) -> bool:
        raise AssertionError(f"it ended before it said {words!r}:\n{self.log}")
