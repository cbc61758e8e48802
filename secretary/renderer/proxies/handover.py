"""Waits until a proxy works by its new configuration: its former workers accept nothing any more.

nginx and HAProxy answer a reload at once and replace their workers a moment later, while the old
ones still take connections. Watches the children of the proxy's main process; where these cannot
be seen, it waits for a fixed time, and says so. It does not wait for requests that were accepted.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
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
            return _WORKER in title and _STOPPING not in title
        return any(processes.holds(*socket) for socket in self.sockets)


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
        before: dict[int, _Worker] = {}
        if main is not None:
            # Another's reload may be under way: its workers are not to be taken for ours.
            processes.ready(main, signal.SIGUSR2, but={Answer.HELD})
            try:
                before = _workers(main)
                unseen = "" if before else f"process {main} has no workers"
            except PermissionError:
                unseen = f"we may not look into the workers of process {main}"
        self._reload()
        if main is None or not before:
            self._settle(unseen)
            return
        self._watch(main, before)
        if not any(worker.is_titled or worker.sockets for worker in before.values()):
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

    def _watch(self, main: int, before: Mapping[int, _Worker]) -> None:
        began_s = asked_s = time.monotonic()
        while True:
            looked_s = time.monotonic()
            if self._is_renewed(main, before):
                accepting = [worker.pid for worker in before.values() if worker.accepts]
                if not set(accepting) - self._given_up:
                    return
                if looked_s - began_s >= self._timeout_s:
                    self._give_up(accepting)
                    return
            elif looked_s - began_s >= self._timeout_s:
                raise ReloadFailed(self._refusal(main))
            elif looked_s - asked_s >= _ASK_S:
                asked_s, main = looked_s, self._ask()[0] or main
            # A look at all processes costs something: never more than a fifth of a core.
            took_s = time.monotonic() - looked_s
            self._pause(max(processes.LOOK_S, 4 * took_s, (looked_s - began_s) / 20))

    def _is_renewed(self, main: int, before: Mapping[int, _Worker]) -> bool:
        """Whether there is a worker that was not there before."""
        fresh = processes.children(main) - before.keys()
        if any(worker.is_titled for worker in before.values()):
            return any(_WORKER in processes.title(pid) for pid in fresh)
        return bool(fresh)

    def _refusal(self, main: int) -> str:
        if not processes.is_running(main):
            return f"the proxy's main process {main} has ended, and no other has taken its place"
        return (
            f"the proxy has not taken it up within {self._timeout_s:g} s: process {main} has no"
            " new workers; see its log"
        )

    def _give_up(self, accepting: list[int]) -> None:
        """Let it count: another reload would not end them either, and only add workers."""
        _log.warning(
            "the proxy has new workers, and yet %s of the old ones, such as process %d, may accept"
            " connections after %g s; they are not waited for any longer",
            len(accepting),
            accepting[0],
            self._timeout_s,
        )
        self._given_up = frozenset(accepting)

    def _pause(self, pause_s: float) -> None:
        if self._stop.wait(pause_s):
            raise ReloadFailed("it is not known whether the proxy took it up: we are stopping")


def _workers(main: int) -> dict[int, _Worker]:
    """Return the workers of a main process. Raises PermissionError."""
    pids = processes.children(main)
    # nginx has other children too, which serve nobody: they look after its caches.
    titled = {pid for pid in pids if _WORKER in processes.title(pid)}
    return {pid: _Worker.of(pid, is_titled=bool(titled)) for pid in titled or pids}
