"""What is measured: apps, secretaries and shell loops, as processes, and what they cost."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from secretary.devetcd import binary, mortal

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
TICKS = os.sysconf("SC_CLK_TCK")


class Subject:
    """A process, ended with its children when it is left."""

    def __init__(self, command: Sequence[str], *, piped: bool = False) -> None:
        pipe = subprocess.PIPE if piped else subprocess.DEVNULL
        environ = {k: v for k, v in os.environ.items() if not k.startswith("SECRETARY_")}
        self.process = subprocess.Popen(
            mortal(command),
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            env=environ,
            cwd=ROOT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Kill it and all that it has started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class App(Subject):
    """The app of `bench/app.py`, listening once made."""

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(
            [sys.executable, "-m", "bench.app", *map(str, ports)],
            piped=True,
        )
        self._expect("ready")

    def tell(self, mode: str) -> None:
        """Have it behave so; returns once it does."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{mode}\n".encode())
        self.process.stdin.flush()
        self._expect(mode)

    def _expect(self, words: str) -> None:
        assert self.process.stdout is not None
        said = self.process.stdout.readline().decode().strip()
        assert said == words, f"the app said {said!r}, not {words!r}"


def secretary(etcd: str, port: int, *more: str) -> Subject:
    """A secretary with the default options, which publishes at `/services/ours/<ip>:<port>`."""
    return Subject(
        [
            *(sys.executable, "-m", "secretary", "run", "--name", "ours", "--ip", HOST),
            *("--port", str(port), "--key-by", "ip-port", "--etcd", etcd, "--status", "off"),
            *("--probe", f"http://{HOST}:{port}/healthz", *more),
        ]
    )


def shell_loop(etcd: str, port: int) -> Subject:
    """The shell loop, which publishes at `/services/loop/<ip>:<port>`."""
    key = f"/services/loop/{HOST}:{port}"
    script = ROOT / "bench" / "shell-loop.sh"
    return Subject([str(script), binary("etcdctl"), etcd, key, HOST, str(port)])


def free_ports(count: int) -> list[int]:
    """Return ports on which nobody listens, and from which nobody connects."""
    servers: list[socket.socket] = []
    for port in range(21000, 32000):
        if len(servers) == count:
            break
        try:
            servers.append(socket.create_server((HOST, port)))
        except OSError:
            continue
    ports = [int(server.getsockname()[1]) for server in servers]
    for server in servers:
        server.close()
    return ports


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process has taken so far, and what it holds."""

    cpu_s: float
    """Its own and that of the children which it has waited for."""
    rss_kb: int
    private_kb: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, subject: Subject) -> "Cost":
        proc = Path("/proc", str(subject.process.pid))
        # After the command's name, which may hold spaces; fields 14 to 17 of proc(5) are times.
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        memory = {
            line.split()[0]: int(line.split()[1])
            for line in (proc / "smaps_rollup").read_text().splitlines()[1:]
        }
        return cls(
            cpu_s=sum(map(int, fields[11:15])) / TICKS,
            rss_kb=memory["Rss:"],
            private_kb=memory["Private_Dirty:"],
            threads=int(fields[17]),
            descriptors=len(list((proc / "fd").iterdir())),
        )
