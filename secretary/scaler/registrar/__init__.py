"""Keeps the records of machines that have no secretary inside, by one that runs here for them all.

It is a process of its own, `secretary run` with a [[service]] for each machine, and is told of
changes by its file, so that only what changes changes. It ends with us. When we are killed its
records stay, for the next one to take over, until their leases run out.
"""

import logging
from collections.abc import Sequence

from secretary.core.machine import Machine
from secretary.core.scaling import ScaleGroup
from secretary.core.settings import EtcdSettings, LogSettings
from secretary.scaler.registrar.keeper import Keeper
from secretary.scaler.registrar.services import Common, places, settings_file

_log = logging.getLogger(__name__)


class Registrar:
    """Of one group."""

    def __init__(
        self,
        group: ScaleGroup,
        etcd: EtcdSettings,
        prefix: str,
        log: LogSettings = LogSettings(),  # noqa: B008 - frozen
        ttl_s: int = 30,
    ) -> None:
        self._group = group
        self._common = Common(etcd, prefix, log, ttl_s)
        self._wrong: frozenset[str] = frozenset()
        self._keeper = Keeper(group.name)

    def follow(self, machines: Sequence[Machine]) -> None:
        """Keep the records of these machines, and of no others, from now on. Does not wait."""
        found = places(self._group, machines)
        for wrong in sorted(found.wrong - self._wrong):
            _log.warning("%s; it is not registered", wrong)
        self._wrong = found.wrong
        self._keeper.want(settings_file(self._group, self._common, found.found))

    def close(self, *, withdraw: bool = True) -> None:
        """Let the records go, within a bounded time.

        Without `withdraw` they stay as they are until their leases run out: for a scaler that
        comes next, here after a restart or on another host, to take them over unnoticed.
        """
        self._keeper.close(withdraw=withdraw)
