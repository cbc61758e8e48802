"""The one thread that talks to etcd: it steps each registration when it is due.

While etcd does not answer nothing else can be done, so the whole turn is tried again, with
backoff; one registration's own trouble (it may not write its key, say) never holds up another.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.stop import stop_when_event_set

from secretary.agent.registration import POSTPONED_S, Registration
from secretary.core.errors import (
    CredentialsRefused,
    LoginExpired,
    SettingsError,
    StoreUnavailable,
    TrustRefused,
)

_log = logging.getLogger(__name__)

_AWAY: Final = (StoreUnavailable, LoginExpired, TrustRefused, CredentialsRefused, SettingsError)
"""What concerns the connection, and therefore every registration alike."""

# Random, so that the agents of many hosts do not come back in one wave.
_PATIENT: Final = wait_random_exponential(multiplier=0.2, max=5)
_PROMPT: Final = wait_random_exponential(multiplier=0.2, max=1)

LEAVING_WAIT_S: Final = 0.1
IDLE_S: Final = 10.0
"""How long at most the loop rests, so that it can be seen to turn."""
LONGEST_TURN_S: Final = 60.0
"""A loop that has not turned for so long hangs: no sum of deadlines and backoffs comes near."""


class Keeper:
    """Steps `registrations()` (asked for at each turn) in its own thread.

    `errors` counts what went wrong with etcd; `away` is the reason while it does not answer;
    `beat_s` is when the loop last turned (time.monotonic).
    """

    def __init__(self, registrations: Callable[[], Collection[Registration]]) -> None:
        self.errors = 0
        self.away: str | None = None
        self.beat_s = time.monotonic()
        self._registrations = registrations
        self._wake = threading.Event()
        self._leaving = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look at once: something is wanted."""
        self._wake.set()

    def leave(self, timeout_s: float) -> bool:
        """End as soon as every registration is as wanted; say whether all were in time."""
        self._leaving.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def stop(self, timeout_s: float) -> None:
        """End now; may be called twice."""
        self._stop.set()
        self._leaving.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                next_s = self._patiently(self._turn)
            except _AWAY:
                return  # only a stop ends the patience
            except Exception:
                self.errors += 1
                _log.exception("unforeseen; going on")
                next_s = time.monotonic() + POSTPONED_S
            if self._leaving.is_set() and next_s == math.inf:
                return
            self._wake.wait(max(0.0, min(IDLE_S, next_s - time.monotonic())))

    def _turn(self) -> float:
        """Step all that are due; return when the next one is."""
        self.beat_s = time.monotonic()
        stepped = False
        for registration in self._mattering():
            self.beat_s = time.monotonic()
            if registration.due_s <= self.beat_s:
                self._step(registration)
                stepped = True
        if stepped:
            self._reached()
        return min((r.due_s for r in self._mattering()), default=math.inf)

    def _mattering(self) -> Iterator[Registration]:
        """Yield those that want to be stepped: on leaving, only who has something there."""
        for registration in self._registrations():
            if registration.lease is not None or not self._leaving.is_set():
                yield registration

    def _step(self, registration: Registration) -> None:
        try:
            registration.step(self.beat_s)
        except _AWAY:
            raise
        except Exception as error:
            self.errors += 1
            registration.postpone(self.beat_s, error)

    def _patiently(self, turn: Callable[[], float]) -> float:
        return Retrying(
            retry=retry_if_exception_type(_AWAY),
            wait=self._backoff_s,
            sleep=self._pause,
            stop=stop_when_event_set(self._stop),
            before_sleep=self._failed,
            reraise=True,
        )(turn)

    def _backoff_s(self, state: RetryCallState) -> float:
        """Up to 5 s; up to 1 s once a record has stood there, for its clients miss it."""
        if self._leaving.is_set():
            return LEAVING_WAIT_S
        missed = any(r.incumbent for r in self._registrations())
        return _PROMPT(state) if missed else _PATIENT(state)

    def _pause(self, seconds: float) -> None:
        (self._stop if self._leaving.is_set() else self._leaving).wait(seconds)

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.errors += 1
        if self.away is None or (
            str(error) != self.away and not isinstance(error, StoreUnavailable)
        ):
            _log.warning("%s; trying again until it answers", error)
        self.away = str(error)

    def _reached(self) -> None:
        if self.away is not None:
            self.away = None
            _log.info("etcd answers again")
