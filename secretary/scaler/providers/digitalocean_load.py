"""How busy droplets are, asked no oftener than DigitalOcean allows.

There is one question a droplet, and 5000 questions an hour for the whole account. So an answer
is good for a minute, and of what has become older the oldest is asked first, until this minute's
questions are spent: more than 30 droplets are looked at in turn.
"""

import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from secretary.core.errors import CloudAway

FRESH_S: Final = 60.0
KNOWN_S: Final = 300.0
"""So old may an answer be that is given on, while its turn to be asked again has not come."""
PER_MINUTE: Final = 30
"""A group: several share the account with it, and creating must not have to wait for this."""
_AT_ONCE: Final = 8

Asks: TypeAlias = Callable[[str], float | None]
"""Asks for one droplet's load; None where nothing is known of it."""


class Load:
    """What is known of each, and what has been asked in this minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, float | None]] = {}
        self._asked: deque[float] = deque()
        self._lock = threading.Lock()

    def of(self, ids: Sequence[str], ask: Asks) -> Mapping[str, float]:
        """Return the load of each in percent, as far as it is known.

        CloudError; CloudAway only where no question was answered.
        """
        with self._lock:
            self._look(self._due(ids), ask)
            now = self._clock()
            self._known = {
                id_: (at, load) for id_, (at, load) in self._known.items() if now - at <= KNOWN_S
            }
            known = {id_: self._known[id_][1] for id_ in ids if id_ in self._known}
            return {id_: load for id_, load in known.items() if load is not None}

    def _due(self, ids: Sequence[str]) -> list[str]:
        now = self._clock()
        while self._asked and now - self._asked[0] >= 60:
            self._asked.popleft()
        never = float("-inf")
        age = {id_: self._known.get(id_, (never, None))[0] for id_ in ids}
        due = sorted((id_ for id_ in age if now - age[id_] >= FRESH_S), key=age.__getitem__)
        due = due[: PER_MINUTE - len(self._asked)]
        self._asked.extend([now] * len(due))
        return due

    def _look(self, ids: Sequence[str], ask: Asks) -> None:
        if not ids:
            return
        away: list[CloudAway] = []
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE, "droplet-load") as askers:
            asked = [(id_, askers.submit(ask, id_)) for id_ in ids]
            try:
                for id_, answer in asked:
                    try:
                        self._known[id_] = (self._clock(), answer.result())
                    except CloudAway as error:
                        away.append(error)
            finally:
                askers.shutdown(cancel_futures=True)  # what is busy or refused is so for all
        if len(away) == len(ids):
            raise away[0]
