"""The loop that probes one app: probe, judge, tell, wait. It never touches the directory."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from secretary.agent.health import Health, State, Verdict, step
from secretary.agent.ports import Outcome, Probe, ProbeResult
from secretary.core.settings import Rhythm

_log = logging.getLogger(__name__)

JITTER: Final = 0.1
"""The part of an interval that is random, so that many probes do not fall together."""


class Worker:
    """Probes in its own thread from `start` to `stop`.

    `tell_result` hears every result with the health after it, `tell_verdict` each change of
    the verdict; both are called in the worker's thread. `beat_s` is when the loop last turned
    (time.monotonic) and `longest_turn_s` how long a turn may take.
    """

    def __init__(
        self,
        *,
        name: str,
        key: str,
        probe: Probe,
        rhythm: Rhythm,
        timeout_s: float,
        tell_result: Callable[[ProbeResult, Health], None],
        tell_verdict: Callable[[Verdict], None],
        health: Health,
    ) -> None:
        self.health = health
        self.beat_s = time.monotonic()
        self.longest_turn_s = rhythm.interval_s + timeout_s
        self._probe = probe
        self._rhythm = rhythm
        self._tell_result = tell_result
        self._tell_verdict = tell_verdict
        self._log = logging.LoggerAdapter(_log, {"service": name, "key": key})
        self._last_error = ""
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """Begin no further probe, and report none; may be called twice."""
        self._stop.set()
        self._wake.set()

    def look(self) -> None:
        """Probe now, whenever it were due."""
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the probe under way, if any."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        first_s = time.monotonic()
        while not self._stop.is_set():
            self.beat_s = began_s = time.monotonic()
            self._wake.clear()
            try:
                self._turn(first_s)
            except Exception:
                self._log.exception("unforeseen; probing on")
            if not self._stop.is_set():
                self._wake.wait(max(0.0, began_s + self._interval_s() - time.monotonic()))

    def _turn(self, first_s: float) -> None:
        began_s = time.monotonic()
        try:
            result = self._probe.run()
        except Exception as error:
            self._log.exception("the probe itself failed")
            result = ProbeResult(Outcome.ERROR, repr(error), time.monotonic() - began_s)
        if self._stop.is_set():
            return
        before = self.health
        self.health = step(before, result.outcome, self._rhythm, time.monotonic() - first_s)
        self._tell_result(result, self.health)
        if self.health.verdict is not before.verdict:
            self._tell_verdict(self.health.verdict)
        # At last: a log that nobody reads may hold us up, and must not hold up the verdict.
        self._say(before, result)

    def _interval_s(self) -> float:
        interval_s = self._rhythm.interval_s
        if self.health.in_doubt:
            interval_s = min(interval_s, self._rhythm.fast_interval_s)
        # Never longer than asked for: the interval bounds how late a failure is seen.
        return interval_s * random.uniform(1 - JITTER, 1)  # noqa: S311 - not cryptography

    def _say(self, before: Health, result: ProbeResult) -> None:
        """Log what is new: a state, or an error of the probe that was not there before."""
        state = self.health.state
        if result.outcome is Outcome.ERROR:
            if result.detail != self._last_error:
                self._log.error("cannot probe: %s; the state stays %s", result.detail, state.value)
            self._last_error = result.detail
            return
        self._last_error = ""
        if state is not before.state:
            level = logging.WARNING if state in (State.FAILING, State.DOWN) else logging.INFO
            self._log.log(level, "%s: %s", state.value, result.detail)
