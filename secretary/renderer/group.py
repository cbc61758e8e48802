"""One group's loop: takes views as they come, and publishes them when it is time.

In a thread of its own, so that a proxy whose reload hangs holds up no other. It ends only when
told to: whatever goes wrong is logged once, shown, and tried again.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from secretary.core.errors import SecretaryError
from secretary.core.metric import Buckets
from secretary.core.settings import PaceSettings
from secretary.renderer.changes import Pace
from secretary.renderer.publisher import Published, Publisher
from secretary.renderer.services import View

_log = logging.getLogger(__name__)

APPLIED_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LEAVING_S: Final = 1.0
"""How often a proxy is looked at while servers wait there for their last connections."""
IDLE_S: Final = 10.0


class Group:
    """`offer` from any thread; what it says of itself may be read from any.

    `applied` is the last view that the proxy works by, `trouble` why the next one does not come
    through. `on_applied` is called in the group's thread after each.
    """

    def __init__(
        self, name: str, publisher: Publisher, pace: PaceSettings, on_applied: Callable[[], None]
    ) -> None:
        self.name = name
        self.publisher = publisher
        self.applied: View | None = None
        self.applied_at: datetime | None = None
        self.trouble: str | None = None
        self.reloads = self.writes = self.failures = self.runtime_changes = 0
        self.seconds = Buckets(APPLIED_SECONDS)
        self.beat_s = time.monotonic()
        self._pace = Pace(pace)
        self._on_applied = on_applied
        self._changed = threading.Condition()
        self._view: View | None = None
        self._since_s = math.inf
        self._look_s = math.inf
        self._resyncing = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"group {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the loop after what it is doing; may be called twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def offer(self, view: View, at_s: float) -> None:
        """Let the proxy work by `view`; the change reached us at `at_s` (time.monotonic)."""
        with self._changed:
            self._view = view
            self._since_s = min(self._since_s, at_s)
            self._pace = self._pace.changed(time.monotonic())
            self._changed.notify_all()

    def resync(self) -> None:
        """Compare what is written and what runs with the last view once more."""
        with self._changed:
            self._look_s = time.monotonic()
            self._resyncing = True
            self._changed.notify_all()

    @property
    def behind_s(self) -> float:
        """How long the oldest change has been waiting to be applied; 0 when none is."""
        since_s = self._since_s
        return 0.0 if since_s == math.inf else max(0.0, time.monotonic() - since_s)

    # The loop

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            self._publish(*taken)

    def _next(self) -> tuple[View, float] | None:
        """Wait for the next view that is due; None to end."""
        with self._changed:
            while not self._stopping:
                self.beat_s = now_s = time.monotonic()
                due_s = min(self._pace.due_s, self._look_s)
                if self._view is not None and due_s <= now_s:
                    since_s, self._since_s = self._since_s, math.inf
                    self._look_s = math.inf
                    self._pace = self._pace.taken()
                    return self._view, since_s
                wait_s = IDLE_S if self._view is None else min(IDLE_S, due_s - now_s)
                self._changed.wait(wait_s)
        return None

    def _publish(self, view: View, since_s: float) -> None:
        if self._resyncing:
            self._resyncing = False
            self.publisher.retry_quarantined()
        try:
            done = self.publisher.publish(view, datetime.now(UTC))
        except Exception as error:
            self._fail(error, since_s)
        else:
            self._succeed(view, done, since_s)

    def _fail(self, error: Exception, since_s: float) -> None:
        self.failures += 1
        said = str(error) or type(error).__name__
        if said != self.trouble and not self._stopping:
            unforeseen = None if isinstance(error, SecretaryError) else error
            _log.error("%s; trying again until it works", said, exc_info=unforeseen)
        self.trouble = said
        with self._changed:
            self._since_s = min(self._since_s, since_s)
            self._pace = self._pace.failed(time.monotonic())

    def _succeed(self, view: View, done: Published, since_s: float) -> None:
        now_s = time.monotonic()
        if self.trouble is not None:
            _log.info("%s: it works again", self.name)
        self.trouble = None
        self.reloads += done.reloaded
        self.writes += done.written
        self.runtime_changes += done.runtime_changes
        if since_s < math.inf:
            self.seconds.observe(now_s - since_s)
        if done.is_something:
            _log.info("%s: %s at revision %d", self.name, done, view.revision)
        with self._changed:
            self._pace = self._pace.published(now_s, reloaded=done.reloaded)
            if done.leaving:
                self._look_s = min(self._look_s, now_s + LEAVING_S)
        self.applied, self.applied_at = view, datetime.now(UTC)
        self._on_applied()
