"""When to publish: the first change after quiet at once, a storm gathered, reloads apart.

Pure: takes the time of a monotonic clock, in seconds, and returns when to act.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

from secretary.core.settings import PaceSettings


@dataclass(frozen=True, slots=True)
class Pace:
    """What has happened so far; each method returns the pace after it."""

    settings: PaceSettings
    first_s: float = math.inf
    """When the first change came that nobody has taken yet; inf without one."""
    last_s: float = -math.inf
    """When the last change came."""
    quiet: bool = True
    """Whether nothing had come for `min_wait` before the first."""
    reloaded_s: float = -math.inf
    """When the proxy was last reloaded, or failed to be."""
    retry_s: float = math.inf
    failures: int = 0

    def changed(self, now_s: float) -> Self:
        """Note a change."""
        if self.first_s < math.inf:
            return replace(self, last_s=now_s)
        quiet = now_s - self.last_s >= self.settings.min_wait_s
        return replace(self, first_s=now_s, last_s=now_s, quiet=quiet)

    def taken(self) -> Self:
        """Note that what has changed so far is being published: what comes now comes after it."""
        return replace(self, first_s=math.inf, retry_s=math.inf)

    def published(self, now_s: float, *, reloaded: bool) -> Self:
        """Note that what was taken is published."""
        reloaded_s = now_s if reloaded else self.reloaded_s
        return replace(self, failures=0, reloaded_s=reloaded_s)

    def failed(self, now_s: float) -> Self:
        """Note that it could not be published: to be tried again, later each time."""
        wait_s = self.settings.retry_s * 2 ** min(self.failures, 10)
        return replace(
            self,
            failures=self.failures + 1,
            retry_s=now_s + min(wait_s, self.settings.max_retry_s),
            reloaded_s=now_s,
        )

    @property
    def due_s(self) -> float:
        """When to publish; inf while there is nothing to do."""
        due_s = self.retry_s
        if self.first_s < math.inf:
            gathered_s = min(
                self.last_s + self.settings.min_wait_s, self.first_s + self.settings.max_wait_s
            )
            due_s = min(due_s, self.first_s if self.quiet else gathered_s)
        return max(due_s, self.reloaded_s + self.settings.reload_gap_s)
