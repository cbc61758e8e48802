"""A group on its own: a thread that takes turns, measures, and follows the policy.

A group that waits for its cloud holds up no other. One bad turn is logged and counted, and the
next comes later; an outage of etcd, the provider or the metric removes nothing.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from secretary.core.errors import ScaleError, SecretaryError
from secretary.core.machine import MachineState
from secretary.core.scaling import PolicySettings, ScaleGroup
from secretary.scaler.census import is_ended
from secretary.scaler.desk import Desk
from secretary.scaler.engine import MOST_AT_ONCE, Engine
from secretary.scaler.plan import added_s_ago
from secretary.scaler.policy import Decision, Limits, decide
from secretary.scaler.ports import Meter, Registrar
from secretary.scaler.report import Report
from secretary.scaler.samples import Past, Sample
from secretary.scaler.tally import counted, measured, registered

_log = logging.getLogger(__name__)

TURN_S: Final = 2.0
IDLE_S: Final = 15.0
"""Time between turns while nothing moves and nothing is measured: clouds count questions."""
QUIET_S: Final = 60.0
"""What has not moved for so long, such as a machine that does not boot, is looked at no oftener."""
_STILL: Final = (MachineState.SERVING, MachineState.FAILED)
MOST_PAUSE_S: Final = 30.0
"""The longest pause after turns that went wrong."""
JOIN_S: Final = 40.0
"""A call of a provider that is under way at the stop is waited for: its outcome is written down."""
LONGEST_TURN_S: Final = 120.0


class GroupLoop:
    """One group's thread. Its attributes are read by the pages, from other threads."""

    def __init__(
        self,
        group: ScaleGroup,
        engine: Engine,
        desk: Desk,
        meter: Meter,
        registrar: Callable[[], Registrar] | None,
        begin: Callable[[], None] | None,
        end: Callable[[], None],
    ) -> None:
        """`registrar` makes the one that runs while we act, where the group needs one.

        `begin` is called once, when etcd answers for the first time; `end` lets go of what the
        group's thread alone has used.
        """
        self.group = group
        self._engine = engine
        self._desk = desk
        self._meter = meter
        self._make_registrar = registrar
        self._registrar: Registrar | None = None
        self._begin = begin
        self._end = end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"group {group.name}")
        self._past = Past()
        self._samples: list[Sample] = []
        self._look_s = -math.inf
        self._sampled_s = -math.inf
        self._turned_s = -math.inf
        self._moved_s = -math.inf
        self._said = ""
        self._noted: frozenset[str] = frozenset()
        self._is_acting = False
        self.report = Report()
        self.decision: Decision | None = None
        self.holds = False
        self.trouble: str | None = "not looked yet"
        """Why the last turn could not be taken; None when it could."""
        self.failures = 0
        self.ups = 0
        self.downs = 0
        self.beat_s = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def drop(self) -> None:
        """Let go of everything instead of being started."""
        self._release()

    def stop(self) -> None:
        """Take no further turn. May be called twice; `join` waits."""
        self._stopping.set()

    def join(self) -> bool:
        """Wait until the turn under way has ended; say whether it has."""
        self._thread.join(JOIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause_s = 0.0
        try:
            while not self._stopping.wait(pause_s):
                self.beat_s = time.monotonic()
                pause_s = self._turn(pause_s)
        finally:
            self._release()

    def _release(self) -> None:
        self._stop_registering()
        self._end()

    def _stop_registering(self) -> None:
        """Leave the records to who acts next: they outlive us by their leases."""
        registrar, self._registrar = self._registrar, None
        if registrar is not None:
            registrar.close(withdraw=False)

    def _turn(self, before_s: float) -> float:
        """Take a turn, and return the pause until the next."""
        try:
            self._look()
        except SecretaryError as error:
            self._failed(str(error))
        except Exception:
            _log.exception("%s: unforeseen; going on", self.group.name)
            self._failed("unforeseen, see the log")
        else:
            self.trouble = None
            return TURN_S
        return min(max(TURN_S, before_s * 2), MOST_PAUSE_S)

    def _failed(self, words: str) -> None:
        self.failures += 1
        if words != self.trouble:
            _log.warning("%s: %s; trying again", self.group.name, words)
        self.trouble = words

    def _look(self) -> None:
        self.holds, held = self._engine.hold(), self.holds
        begin, self._begin = self._begin, None
        if begin is not None:
            begin()
        if not self.holds:
            self._stand_by(held)
            return
        settings, now_s = self.group.policy, time.monotonic()
        is_due = settings is not None and now_s - self._look_s >= settings.interval_s
        may_rest = held and not is_due and now_s - self._turned_s < IDLE_S
        if may_rest and not self._is_moving(now_s):
            return
        before, self.report = self.report, self._engine.turn(self._sample)
        if not self.report.is_held:
            return  # and the next look finds who has the lock
        if self.report.stock.machines != before.stock.machines:
            self._moved_s = now_s
        self._turned_s = now_s
        self._tell_alarms()
        if not self._is_acting:
            self._act()
        if self._registrar is not None:
            self._registrar.follow(registered(self.report))
        if settings is not None and is_due:
            self._look_s = now_s
            self.decision = self._decide(settings)
            self._follow(self.decision)

    def _is_moving(self, now_s: float) -> bool:
        last = self.report.stock
        is_under_way = any(machine.state not in _STILL for machine, _ in last.machines.values())
        is_quiet = now_s - self._moved_s >= QUIET_S
        return (is_under_way and not is_quiet) or self._engine.has_changed(last)

    def _stand_by(self, held: bool) -> None:
        if held or self._said != "standby":
            _log.info("%s: another scaler acts; standing by", self.group.name)
        self._said, self._is_acting = "standby", False
        self._stop_registering()

    def _act(self) -> None:
        """Begin to act, with the first report that is ours."""
        self._is_acting = True
        _log.info("%s: acting", self.group.name)
        self._said = ""
        # Whoever added machines before us: the cooldown holds.
        ago_s = added_s_ago(self.report.stock, datetime.now(UTC))
        self._past = Past(added_s=time.monotonic() - ago_s)
        self._samples.clear()
        if self._make_registrar is not None:
            self._registrar = self._make_registrar()

    def _sample(self) -> None:
        """Measure, if it is time, while a turn waits for its calls.

        A machine that is slow in the making must leave no gap in what is known of the others.
        """
        self.beat_s = now_s = time.monotonic()
        if self.group.policy is None or now_s - self._sampled_s < self.group.policy.interval_s:
            return
        self._sampled_s = now_s
        self._samples += measured(self._meter, self.report)

    def _tell_alarms(self) -> None:
        for alarm in self.report.alarms:
            if alarm not in self._noted:
                _log.warning("%s: %s", self.group.name, alarm)
        self._noted = frozenset(self.report.alarms)

    def _decide(self, settings: PolicySettings) -> Decision:
        if not self._samples:
            self._sampled_s = time.monotonic()
            self._samples += measured(self._meter, self.report)
        samples, self._samples = self._samples, []
        decision, self._past = decide(
            settings,
            Limits(self.group.min, self.group.max),
            counted(self.report),
            samples,
            self._past,
            time.monotonic(),
        )
        return decision

    def _follow(self, decision: Decision) -> None:
        number = counted(self.report).number
        if decision.reason != self._said and decision.target != number:
            _log.info("%s: %s", self.group.name, decision.reason)
            self._said = decision.reason
        failed = sum(is_ended(machine) for machine, _ in self.report.stock.machines.values())
        if decision.target > number and failed > self.group.max_replacements:
            alarm = f"{failed} machines have failed within the hour: no more are asked for"
            self.report = replace(self.report, alarms=[*self.report.alarms, alarm])
            self._tell_alarms()
            return
        try:
            if decision.target > number:
                self.ups += len(
                    self._desk.up(min(decision.target - number, MOST_AT_ONCE), decision.reason)
                )
            elif decision.target < number:
                going = self._desk.down(None, number - decision.target, decision.reason)
                self.downs += len(going)
        except ScaleError as error:
            _log.info("%s: %s", self.group.name, error)
