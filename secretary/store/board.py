"""One leased key in which a program says how it is: there while the program lives.

Whoever comes takes the key, as a predecessor that was killed may still stand there. Whoever finds
it taken while alive gives way, and goes on under another name.
"""

import logging
import secrets

from secretary.core.errors import LeaseLost
from secretary.store.etcd import Etcd
from secretary.store.kv import LeaseIs, Put
from secretary.store.session import Session

_log = logging.getLogger(__name__)


class Board:
    """Raises what `Etcd` raises; every call may be repeated."""

    def __init__(self, etcd: Etcd, key: str, ttl_s: int) -> None:
        self.key = key
        self.ttl_s = ttl_s
        self._etcd = etcd
        self._session: Session | None = None

    def post(self, value: bytes) -> None:
        """Let the key hold `value`."""
        guards = [LeaseIs(self.key, self._session.lease)] if self._session is not None else []
        if self._session is None:
            self._session = Session(self._etcd, self.ttl_s)
        try:
            posted = self._etcd.commit(guards, [Put(self.key, value, self._session.lease)])
        except LeaseLost:
            self._session = None
            self.post(value)
            return
        if not posted.succeeded:
            self._give_way()
            self._session.close()
            self._session = None
            self.post(value)

    def renew(self) -> bool:
        """Keep the key alive; False when it is lost, and has to be posted anew."""
        if self._session is None:
            return False
        try:
            self._session.renew()
        except LeaseLost:
            self._session = None
            return False
        found = self._etcd.get(self.key)
        return found is not None and found.lease == self._session.lease

    def _give_way(self) -> None:
        """Take another name if somebody has ours, and not only our key was deleted."""
        if self._etcd.get(self.key) is None:
            return
        taken, self.key = self.key, f"{self.key}-{secrets.token_hex(4)}"
        _log.error(
            "somebody else has taken %s: give each its own --id; going on as %s", taken, self.key
        )

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
