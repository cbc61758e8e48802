"""What the command line asks without running an agent: the directory, and an agent that runs.

Apart from `app.py`, and with its imports inside: asking a status server, as a container's
HEALTHCHECK does all day, needs neither etcd's client nor a probe.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secretary.agent.ports import Directory
from secretary.core.settings import EtcdSettings, HostPort
from secretary.core.snapshot import Snapshot

if TYPE_CHECKING:
    from secretary.store.etcd import Etcd
    from secretary.store.follow import Following


@contextmanager
def directory(settings: EtcdSettings, prefix: str) -> Iterator[Directory]:
    """Open the directory for reading."""
    from secretary.store.etcd import Etcd

    etcd = Etcd(settings)
    directory = _Directory(etcd, prefix)
    try:
        yield directory
    finally:
        directory.stop()
        etcd.close()


class _Directory:
    def __init__(self, etcd: "Etcd", prefix: str) -> None:
        self._etcd = etcd
        self._prefix = prefix
        self._following: Following[Snapshot] | None = None

    def snapshot(self) -> Snapshot:
        from secretary.store.registry import Registry

        return Registry(self._etcd).snapshot(self._prefix)

    def follow(self) -> Iterator[Snapshot]:
        from secretary.store.follow import Following

        self._following = Following(self._etcd, self._prefix, Snapshot(prefix=self._prefix))
        return iter(self._following)

    def stop(self) -> None:
        """End a `follow` that another thread is iterating over."""
        if self._following is not None:
            self._following.stop()


def ask_status(at: HostPort, page: str, timeout_s: float = 3.0) -> tuple[bool, str]:
    """Ask a running agent's status server; return whether it said yes, and its words."""
    from secretary.runtime import status

    answer = status.ask(at, page, timeout_s)
    return answer.status == 200, answer.text
