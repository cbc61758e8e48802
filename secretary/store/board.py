"""One leased key in which a program says how it is: there while the program lives.

Unlike a service's record it is nobody else's to write, so what stands there is written over.
"""

from secretary.core.errors import LeaseLost
from secretary.store.etcd import Etcd
from secretary.store.kv import Put
from secretary.store.session import Session


class Board:
    """Raises what `Etcd` raises; every call may be repeated."""

    def __init__(self, etcd: Etcd, key: str, ttl_s: int) -> None:
        self.key = key
        self.ttl_s = ttl_s
        self._etcd = etcd
        self._session: Session | None = None
        self._posted: bytes | None = None

    def post(self, value: bytes) -> None:
        """Let the key hold `value`."""
        if self._session is None:
            self._session = Session(self._etcd, self.ttl_s)
        try:
            self._etcd.commit([], [Put(self.key, value, self._session.lease)])
        except LeaseLost:
            self._session = None
            self.post(value)
        self._posted = value

    def renew(self) -> None:
        """Keep the key alive; put it back when it was lost."""
        if self._session is None or self._posted is None:
            return
        try:
            self._session.renew()
        except LeaseLost:
            self._session = None
            self.post(self._posted)

    def orphan(self) -> None:
        """Leave the key to whoever posts to it next, or to expire."""
        if self._session is not None:
            self._session.orphan()
            self._session = None

    def close(self) -> None:
        """Take the key out."""
        if self._session is not None:
            self._session.close()
            self._session = None
