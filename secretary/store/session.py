"""A lease's life: granted, renewed, and ended in one of three ways.

lost      expired or revoked by others: whoever wants the record comes back at once
orphaned  no longer renewed: what hangs on it stays until it expires
closed    revoked by us: what hangs on it goes now
"""

import enum
import time

from secretary.core.errors import LeaseLost
from secretary.store.etcd import Etcd


class Ending(enum.Enum):
    LOST = "lost"
    ORPHANED = "orphaned"
    CLOSED = "closed"


class Session:
    """One lease of `ttl_s` seconds. `ending` is None while it lives, as far as we know."""

    def __init__(self, etcd: Etcd, ttl_s: int) -> None:
        """Grant the lease. StoreUnavailable or StoreMisconfigured as etcd answers."""
        self._etcd = etcd
        self.ttl_s = ttl_s
        self.ending: Ending | None = None
        # Counted from before the call: the lease may end later than this, never earlier.
        self._renewed_s = time.monotonic()
        self.lease = etcd.grant(ttl_s)

    @property
    def left_s(self) -> float:
        """Seconds until the lease expires unless it is renewed; 0 once it has ended."""
        if self.ending is not None:
            return 0.0
        return max(0.0, self._renewed_s + self.ttl_s - time.monotonic())

    def renew(self) -> None:
        """Make it last `ttl_s` from now. LeaseLost when it is gone."""
        asked_s = time.monotonic()
        try:
            self._etcd.keep_alive(self.lease)
        except LeaseLost:
            self.ending = Ending.LOST
            raise
        self._renewed_s = asked_s

    def orphan(self) -> None:
        """Never renew it again and leave what hangs on it to expire."""
        self.ending = self.ending or Ending.ORPHANED

    def close(self) -> None:
        """Revoke it. May be repeated, also after a call that was lost."""
        if self.ending is Ending.CLOSED:
            return
        try:
            self._etcd.revoke(self.lease)
        except LeaseLost:
            self.ending = Ending.LOST
        else:
            self.ending = Ending.CLOSED
