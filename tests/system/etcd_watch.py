"""What becomes of the keys below a prefix, as etcd's own command line tells it, and when."""

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from secretary.devetcd import binary
from tests.etcd_bed import Etcdctl
from tests.waiting import wait_for


@dataclass(frozen=True, slots=True)
class Change:
    """`at_s` is when it was heard of, by the monotonic clock; no `value` when the key went."""

    at_s: float
    revision: int
    key: str
    value: bytes | None

    @property
    def is_up(self) -> bool:
        """Whether it is a record that sends clients there, and not one that says goodbye."""
        return self.value is not None and json.loads(self.value)["state"] == "up"


class EtcdWatch:
    """Keeps every change since it was entered."""

    def __init__(self, urls: Sequence[str], prefix: str) -> None:
        self._urls = urls
        self._prefix = prefix
        self._changes: list[Change] = []

    def __enter__(self) -> Self:
        since = Etcdctl(self._urls).revision() + 1  # so that nothing is missed while it connects
        self._process = subprocess.Popen(
            [
                *(binary("etcdctl"), f"--endpoints={','.join(self._urls)}", "--write-out=json"),
                *("watch", "--prefix", f"--rev={since}", f"{self._prefix}/"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "ETCDCTL_API": "3"},
        )
        self._thread = threading.Thread(target=self._read, name="etcd-watch")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._thread.join()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def changes(self) -> list[Change]:
        return self._changes[:]

    def of(self, key: str) -> list[Change]:
        return [change for change in self.changes if change.key == key]

    def gone(self, key: str, *, after_s: float = 0.0) -> Change:
        """Wait until the key has been deleted after that moment, and return the deletion."""
        what = f"{key} was deleted"
        return self._next(key, after_s, lambda change: change.value is None, what)

    def back(self, key: str, *, after_s: float = 0.0) -> Change:
        """Wait until a record that is up has been written after that moment, and return that."""
        return self._next(key, after_s, lambda change: change.is_up, f"{key} was written")

    def _next(self, key: str, after_s: float, meant: Callable[[Change], bool], what: str) -> Change:
        def found() -> Change | None:
            late = (change for change in self.of(key) if change.at_s > after_s)
            return next(filter(meant, late), None)

        return wait_for(found, timeout_s=15, what=what)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            at_s = time.monotonic()
            for event in json.loads(line).get("Events") or ():
                kv = event["kv"]
                gone = event.get("type") == 1
                value = None if gone else base64.b64decode(kv.get("value", ""))
                key = base64.b64decode(kv["key"]).decode()
                self._changes.append(Change(at_s, kv["mod_revision"], key, value))
