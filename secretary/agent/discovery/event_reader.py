"""Reads Docker's events in a thread of its own; when they break, opens them again, with backoff.

What comes is passed on in order: `Opened` before the events of each stream, `Broken` after them.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from tenacity import Retrying, retry_if_result, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from secretary.agent.discovery.docker_events import Event
from secretary.core.errors import DockerAway, DockerError

_log = logging.getLogger(__name__)

LONGEST_WAIT_S: Final = 2.0
SOUND_S: Final = 5.0
"""A stream that has lasted so long is opened again at once."""


class Stream(Protocol):
    """Events from now on; see `docker_events.py`."""

    def __iter__(self) -> Iterator[Event]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """Events come from now on; what was before must be asked for."""


@dataclass(frozen=True, slots=True)
class Broken:
    """No events come, for this reason."""

    error: DockerError


Put: TypeAlias = Callable[[Event | Opened | Broken], None]


class EventReader:
    """`open_stream` and `put` are called in its thread."""

    def __init__(self, at: str, open_stream: Callable[[], Stream], put: Put) -> None:
        self._at = at
        self._open = open_stream
        self._put = put
        self._stream: Stream | None = None
        self._is_confirmed = False
        self._is_closed_by_us = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="docker events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def confirm(self) -> None:
        """Say that Docker answers well since this stream was opened: what breaks is news."""
        self._is_confirmed = True

    def reopen(self) -> None:
        """Break the stream, for Docker does not answer elsewhere; an `Opened` follows."""
        self._is_closed_by_us = True
        self._close()

    def stop(self, timeout_s: float) -> None:
        """End within `timeout_s`; may be called twice."""
        self._stopping.set()
        self._close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _close(self) -> None:
        if (stream := self._stream) is not None:
            stream.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            Retrying(
                retry=retry_if_result(lambda was_sound: not was_sound),
                wait=wait_random_exponential(multiplier=0.2, max=LONGEST_WAIT_S),
                sleep=sleep_using_event(self._stopping),
                stop=stop_when_event_set(self._stopping),
                retry_error_callback=lambda _: None,
            )(self._read)

    def _read(self) -> bool:
        """Read one stream to its end; return whether it had been a good one."""
        began_s = time.monotonic()
        self._is_confirmed = self._is_closed_by_us = False
        error: DockerError
        try:
            self._pass_on()
            error = DockerAway(f"Docker at {self._at} does not answer: the events ended")
        except DockerError as raised:
            error = raised
        except Exception as raised:
            _log.exception("unforeseen; opening the events again")
            error = DockerAway(f"Docker at {self._at}: {raised}")
        if not self._is_closed_by_us and not self._stopping.is_set():
            self._put(Broken(error))
        return self._is_confirmed and time.monotonic() - began_s >= SOUND_S

    def _pass_on(self) -> None:
        with contextlib.closing(self._open()) as stream:
            self._stream = stream
            try:
                if not self._stopping.is_set():  # stop() may have come too early to close it
                    self._put(Opened())
                    for event in stream:
                        self._put(event)
            finally:
                self._stream = None
