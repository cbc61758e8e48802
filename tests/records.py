"""Records written by the test itself, without a secretary: many, quickly, by hand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from secretary.core import record
from secretary.core.instance import Instance, State
from secretary.devetcd import DevEtcd
from secretary.store.etcd import Etcd
from secretary.store.kv import Delete, Operation, Put
from tests.etcd_bed import settings_of

SINCE = datetime(2026, 11, 21, 2, tzinfo=UTC)
MOST_OPERATIONS = 100
"""etcd takes 128 in one transaction."""


class Records:
    """The records under a prefix, each under its `ip:port`, without a lease."""

    def __init__(self, etcd: Etcd, prefix: str) -> None:
        self._etcd = etcd
        self._prefix = prefix

    def key(self, addr: str, name: str = "web") -> str:
        return f"{self._prefix}/{name}/{addr}"

    def put(self, *addrs: str, name: str = "web", weight: int = 100) -> int:
        """Write a record for each of `addrs`, at once; return the revision."""
        return self._do([self._put(addr, name, weight) for addr in addrs])

    def delete(self, *addrs: str, name: str = "web") -> int:
        """Delete their records, at once; return the revision."""
        return self._do([Delete(self.key(addr, name)) for addr in addrs])

    def _put(self, addr: str, name: str, weight: int) -> Put:
        ip, _, port = addr.partition(":")
        instance = Instance(
            host="node", ipv4_addr=ip, port=int(port), addr=addr, name=name,
            id=addr.replace(":", "-"), weight=weight, state=State.UP, since=SINCE,
            schema=record.SCHEMA,
        )  # fmt: skip
        return Put(self.key(addr, name), record.encode(instance), 0)

    def _do(self, operations: Sequence[Operation]) -> int:
        revision = 0
        for start in range(0, len(operations), MOST_OPERATIONS):
            some = operations[start : start + MOST_OPERATIONS]
            revision = self._etcd.commit([], some).revision
        return revision


@contextmanager
def records_in(etcd: DevEtcd, prefix: str) -> Iterator[Records]:
    connection = Etcd(settings_of(etcd))
    try:
        yield Records(connection, prefix)
    finally:
        connection.close()
