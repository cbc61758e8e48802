"""The calls of a group's provider: several at once, and none while none would be answered.

A call that concerns one machine, and is refused, is made again after a while, which grows.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from secretary.core.errors import CloudBusy, CloudError, CloudRefused
from secretary.scaler.ports import Provider, Seen

_Answer = TypeVar("_Answer")

CALLS_AT_ONCE: Final = 8
MOST_PAUSE_S: Final = 30.0
"""The longest pause of a provider that does not answer."""
FIRST_REFUSED_S: Final = 10.0
LAST_REFUSED_S: Final = 300.0
RENEW_S: Final = 5.0
"""How often others get their turn while calls are under way."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why nothing more is asked about a machine, until when, and how long that was."""

    words: str
    until_s: float
    pause_s: float


class Calls:
    """Of one group, for the thread that takes its turns."""

    def __init__(
        self, provider: Provider, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._not_before_s = -math.inf
        self._away_s = 0.0
        self._refusals: dict[str, _Refusal] = {}
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix=f"scale-{name}")
        self.trouble = ""
        """Why none may be made."""

    @property
    def may_be_made(self) -> bool:
        return self._clock() >= self._not_before_s

    def create(self, name: str) -> Future[Seen]:
        return self._pool.submit(self._provider.create, name)

    def delete(self, provider_id: str) -> Future[bool]:
        return self._pool.submit(self._provider.delete, provider_id)

    def ask(
        self, call: Callable[[str], _Answer], about: str, meanwhile: Callable[[], None]
    ) -> _Answer:
        """Make another call, and return its answer. CloudError."""
        asked = self._pool.submit(call, about)
        self.finish({asked}, meanwhile)
        return asked.result()

    def finish(self, calls: set[Future[Any]], meanwhile: Callable[[], None]) -> None:
        """Wait until all have ended, and do something else now and then."""
        while calls:
            calls = wait(calls, timeout=RENEW_S).not_done
            meanwhile()

    def refusal(self, id_: str) -> str | None:
        """Return why nothing is to be asked about a machine now; None when something may be."""
        refusal = self._refusals.get(id_)
        if refusal is None or self._clock() >= refusal.until_s:
            return None
        return refusal.words

    def answered(self, id_: str | None = None) -> None:
        """Note that it went well: the provider answers, or what it was asked about a machine."""
        self._away_s = 0.0
        if id_ is not None:
            self._refusals.pop(id_, None)

    def failed(self, error: CloudError, id_: str | None = None) -> None:
        """Ask nothing more until an answer can be expected.

        A refusal concerns one machine alone, where it is of one.
        """
        now_s = self._clock()
        if isinstance(error, CloudRefused) and id_ is not None:
            before = self._refusals.get(id_)
            pause_s = FIRST_REFUSED_S if before is None else 2 * before.pause_s
            pause_s = min(pause_s, LAST_REFUSED_S)
            self._refusals[id_] = _Refusal(str(error), now_s + pause_s, pause_s)
            return
        if isinstance(error, CloudBusy):
            pause_s = error.retry_after_s
        else:
            pause_s = self._away_s = min(max(2.0, 2 * self._away_s), MOST_PAUSE_S)
        self.trouble = str(error)
        self._not_before_s = max(self._not_before_s, now_s + pause_s)

    def close(self) -> None:
        """Wait for those under way."""
        self._pool.shutdown(wait=True)
