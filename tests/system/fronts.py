"""A real proxy in front, and what a renderer is told so that it keeps it right.

with front(kind, tmp_path) as proxy, Renderer.of(urls, prefix, *proxy.arguments):
    ...                      # http://127.0.0.1:{proxy.port}/ leads to the service `web`
"""

import enum
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.apps import free_port
from tests.secretaries import IP
from tests.system.haproxy_bed import HaproxyBed
from tests.system.nginx_bed import NginxBed

_HAPROXY: Final = """\
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s

frontend before_the_first_record
    bind {ip}:{port}
"""


_SERVER: Final = re.compile(r"^ +server (?:\S+ )?([0-9.]+:[0-9]+) weight[ =]([0-9]+)", re.MULTILINE)


class Kind(enum.Enum):
    """The proxies, and the ways in which they take a change up."""

    NGINX = "nginx"
    HAPROXY = "haproxy with reloads"
    RUNTIME = "haproxy without reloads"


@dataclass(frozen=True, slots=True)
class Front:
    """`port` is where clients come, `dest` the file that the renderer keeps right."""

    port: int
    dest: Path
    arguments: tuple[str, ...]
    bed: NginxBed | HaproxyBed

    @property
    def servers(self) -> dict[str, int]:
        """The weights in the file by address: what clients get to, if the proxy works by it."""
        return servers(self.dest)

    def answers(self) -> bool:
        """Whether a client can connect."""
        try:
            socket.create_connection((IP, self.port)).close()
        except OSError:
            return False
        return True


def servers(config: Path) -> dict[str, int]:
    """Return the weights of the servers in a file made of a built-in template, by address."""
    text = config.read_text() if config.exists() else ""
    return {addr: int(weight) for addr, weight in _SERVER.findall(text)}


@contextmanager
def front(kind: Kind, directory: Path) -> Iterator[Front]:
    """Run the proxy, without any server yet."""
    with _nginx(directory) if kind is Kind.NGINX else _haproxy(kind, directory) as proxy:
        yield proxy


@contextmanager
def _nginx(directory: Path) -> Iterator[Front]:
    bed = NginxBed(directory)
    # At this level it says in its log that it was told to reload.
    bed.config.write_text(bed.config.read_text().replace("stderr warn", "stderr notice"))
    port, dest = free_port(), bed.fragments / "sites.conf"
    how = ("--reload", f"signal:HUP@{bed.pidfile}", "--pidfile", str(bed.pidfile))
    with bed:
        yield Front(port, dest, _arguments("nginx", dest, port, *how), bed)


@contextmanager
def _haproxy(kind: Kind, directory: Path) -> Iterator[Front]:
    port = free_port()
    with HaproxyBed(directory, _HAPROXY.format(ip=IP, port=port)) as bed:
        how = ["--reload", f"signal:USR2@{bed.pidfile}", "--pidfile", str(bed.pidfile)]
        if kind is Kind.RUNTIME:
            # Another socket than the one through which the test looks.
            how += ["--runtime", str(directory / "runtime.sock")]
        yield Front(port, bed.config, _arguments("haproxy", bed.config, port, *how), bed)


def _arguments(builtin: str, dest: Path, port: int, *how: str) -> tuple[str, ...]:
    common = ("--var", f"listen={IP}:{port}", "--var", "default=web")
    return ("--builtin", builtin, "--dest", str(dest), *how, *common)
