"""Who sees what happens in etcd: the time at which each key came and went."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from secretary.core.settings import EtcdSettings, HostPort
from secretary.core.snapshot import Snapshot
from secretary.devetcd import DevEtcd
from secretary.store.etcd import Etcd
from secretary.store.follow import Following

PREFIX = "/services"


class Audience:
    """Follows a directory; `seen_s` is when each key last came or went (time.monotonic)."""

    def __init__(self) -> None:
        self.seen_s: dict[str, float] = {}
        self._there: set[str] = set()
        self._changed = threading.Condition()

    def see(self, snapshot: Snapshot) -> None:
        now_s = time.monotonic()
        # A shell loop's value is no whole record; it stands there all the same.
        there = set(snapshot.instances) | set(snapshot.rejected)
        with self._changed:
            for key in there ^ self._there:
                self.seen_s[key] = now_s
            self._there = there
            self._changed.notify_all()

    def wait(self, keys: set[str], *, there: bool, timeout_s: float) -> None:
        """Wait until all of `keys` are there, or none. TimeoutError."""

        def so() -> bool:
            return keys <= self._there if there else not keys & self._there

        with self._changed:
            if not self._changed.wait_for(so, timeout_s):
                raise TimeoutError(f"keys did not {'come' if there else 'go'}: {keys}")


def settings_of(etcd: DevEtcd) -> EtcdSettings:
    host, _, port = etcd.urls[0].removeprefix("http://").rpartition(":")
    return EtcdSettings(endpoints=(HostPort(host, int(port)),))


@contextmanager
def audience(etcd: DevEtcd) -> Iterator[Audience]:
    """Yield an audience that looks on from a thread of its own."""
    logging.getLogger("secretary").setLevel(logging.ERROR)  # a shell loop's records are bad ones
    watching, connection = Audience(), Etcd(settings_of(etcd))
    following = Following(connection, PREFIX, Snapshot())

    def follow() -> None:
        for snapshot in following:
            watching.see(snapshot)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield watching
    finally:
        following.stop()
        thread.join()
        connection.close()
