"""Waits until a proxy works by its new configuration: its former workers accept nothing any more.

nginx and HAProxy answer a reload at once and replace their workers a moment later, while the old
ones still take connections. Watches the children of the proxy's main process; where these cannot
be seen, it waits for a fixed time, and says so. It does not wait for requests that were accepted.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from secretary.core.errors import ReloadFailed
from secretary.renderer.ports import Reload
from secretary.renderer.proxies import processes
from secretary.renderer.proxies.processes import Answer

_log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
_ASK_S: Final = 0.25
"""How often to ask for the main process anew: the reload may have replaced it."""
_MASTER: Final = ": master process"
_WORKER: Final = ": worker process"
_STOPPING: Final = "is shutting down"


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker as it was before the reload.

    nginx's say in their title when they stop, which everybody may read; another's are told by
    its listening sockets.
    """

    pid: int
    is_titled: bool
    sockets: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, pid: int, *, is_titled: bool) -> Self:
        """Raises PermissionError when what must be known of it may not be seen."""
        return cls(pid, is_titled, frozenset() if is_titled else processes.listeners(pid))

    @property
    def accepts(self) -> bool:
        if self.is_titled:
            title = processes.title(self.pid)
            return bool(title) and _STOPPING not in title
        return any(processes.holds(*socket) for socket in self.sockets)


@dataclass(frozen=True, slots=True)
class _Staff:
    """The workers of a main process before a reload, and all of its children then."""

    children: frozenset[int]
    workers: Sequence[_Worker]

    @classmethod
    def of(cls, main: int) -> Self:
        """Raises PermissionError."""
        pids = processes.children(main)
        titled = {pid for pid in pids if _is_titled(pid, main)}
        # nginx has other children too, which serve nobody: they look after its caches.
        workers = [_Worker.of(pid, is_titled=bool(titled)) for pid in sorted(titled or pids)]
        return cls(pids, workers)

    @property
    def is_tellable(self) -> bool:
        """Whether it can be told when they stop."""
        return any(worker.is_titled or worker.sockets for worker in self.workers)

    def is_renewed(self, main: int) -> bool:
        """Whether there is a worker now that was not there before."""
        fresh = processes.children(main) - self.children
        if any(worker.is_titled for worker in self.workers):
            return any(_WORKER in processes.title(pid) for pid in fresh)
        return bool(fresh)


def _is_titled(pid: int, main: int) -> bool:
    """Whether it is a worker of nginx, perhaps a new one, which still has its master's title."""
    title, masters = processes.title(pid), processes.title(main)
    return _WORKER in title or (_MASTER in masters and title == masters)


class HandedOver:
    """A reload that returns when the new workers have taken over.

    `main_pid` returns the proxy's main process, None when it is not known; what it raises as
    ReloadFailed means the same. `stop`, once set, ends the waiting: then nothing is known, and
    that is a failure.
    """

    def __init__(
        self,
        reload: Reload,
        main_pid: Callable[[], int | None],
        settle_s: float,
        *,
        timeout_s: float = TIMEOUT_S,
        stop: threading.Event | None = None,
    ) -> None:
        self._reload = reload
        self._main_pid = main_pid
        self._settle_s = settle_s
        self._timeout_s = timeout_s
        self._stop = stop or threading.Event()
        self._said: str | None = None
        self._given_up: frozenset[int] = frozenset()

    def __call__(self) -> None:
        main, unseen = self._ask()
        before = None
        if main is not None:
            # Another's reload may be under way: its workers are not to be taken for ours.
            processes.ready(main, signal.SIGUSR2, but={Answer.HELD})
            try:
                before = _Staff.of(main)
                unseen = f"process {main} has no workers"
            except PermissionError:
                unseen = f"we may not look into the workers of process {main}"
        self._reload()
        if main is None or before is None or not before.workers:
            self._settle(unseen)
            return
        self._watch(main, before)
        if not before.is_tellable:
            self._settle("they listen on no TCP port")

    def _ask(self) -> tuple[int | None, str]:
        """Return the main process; else why it is not known.

        The proxy may be down, and the reload what starts it.
        """
        try:
            return self._main_pid(), "its main process is not known"
        except ReloadFailed as error:
            return None, str(error).removeprefix("reload failed: ")

    def _settle(self, why: str) -> None:
        if why != self._said:
            _log.info(
                "the proxy's workers cannot be watched (%s): a reload counts after %g s",
                why,
                self._settle_s,
            )
        self._said = why
        self._pause(self._settle_s)

    def _watch(self, main: int, before: _Staff) -> None:
        began_s = asked_s = time.monotonic()
        while True:
            looked_s = time.monotonic()
            if before.is_renewed(main):
                accepting = [worker.pid for worker in before.workers if worker.accepts]
                if not set(accepting) - self._given_up:
                    return
                if looked_s - began_s >= self._timeout_s:
                    # Not again: another reload does not end them, and is soon tried.
                    self._given_up = frozenset(accepting)
                    raise ReloadFailed(
                        f"{len(accepting)} of the proxy's former workers, such as process"
                        f" {accepting[0]}, may still accept connections after"
                        f" {self._timeout_s:g} s; next time they are not waited for"
                    )
            elif looked_s - began_s >= self._timeout_s:
                raise ReloadFailed(self._refusal(main))
            elif looked_s - asked_s >= _ASK_S:
                asked_s, main = looked_s, self._ask()[0] or main
            # A look at all processes costs something: never more than a fifth of a core.
            took_s = time.monotonic() - looked_s
            self._pause(max(processes.LOOK_S, 4 * took_s, (looked_s - began_s) / 20))

    def _refusal(self, main: int) -> str:
        if not processes.is_running(main):
            return f"the proxy's main process {main} has ended, and no other has taken its place"
        return (
            f"the proxy has not taken it up within {self._timeout_s:g} s: process {main} has no"
            " new workers; see its log"
        )

    def _pause(self, pause_s: float) -> None:
        if self._stop.wait(pause_s):
            raise ReloadFailed("it is not known whether the proxy took it up: we are stopping")
