"""The containers that serve, kept true by Docker's events and a look at all of them now and then.

One thread reads events, another owns the table. While Docker does not answer, what is known is
kept; then everything is asked anew. What ends a container is acted on before anything is asked.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Final, Protocol, TypeAlias

from secretary.agent.discovery.docker_events import HEALTH, Event
from secretary.agent.discovery.event_reader import Broken, EventReader, Opened, Stream
from secretary.agent.discovery.inspected import Inspected
from secretary.agent.discovery.table import Moved, Table
from secretary.core.container import Container, Health
from secretary.core.errors import DockerAway, DockerError, DockerRefused

_log = logging.getLogger(__name__)

RESYNC_S: Final = 60.0
AGAIN_S: Final = 2.0
"""When to ask for all again after something unforeseen."""
TOGETHER_S: Final = 0.05
"""Containers that are found within so long are told together."""
_ALIVE: Final = ("start", "unpause")


class Door(Protocol):
    """What is asked of Docker; see `docker.py`."""

    @property
    def at(self) -> str: ...

    def containers(self) -> list[str]: ...

    def inspect(self, ref: str) -> Inspected | None: ...

    def events(self) -> Stream: ...

    def ping(self) -> None: ...

    def close(self) -> None: ...


class _Relist:
    """All is to be asked for again."""


_Message: TypeAlias = Event | Opened | Broken | _Relist


class Roster:
    """`tell` is called in the roster's thread after `running` changed, `tell_health` with an id.

    `running`, `away`, `seen`, `errors` and `health()` may be read from any thread.
    """

    def __init__(
        self,
        door: Door,
        tell: Callable[[], None],
        tell_health: Callable[[str], None],
        resync_s: float = RESYNC_S,
    ) -> None:
        self.away: str | None = None
        """Why Docker does not answer; None when it does."""
        self.seen = False
        """Whether all containers have been told since the start."""
        self.errors = 0
        self._door = door
        self._tell = tell
        self._tell_health = tell_health
        self._resync_s = resync_s
        self._refs: frozenset[str] | None = None
        self._table = Table()
        self._found: dict[str, str] = {}
        """The id that each of `refs` meant when it was last asked for."""
        self._faulty: dict[str, str] = {}
        """What has been said of those that could not be asked for or read."""
        self._pending: dict[str, None] = {}
        """Whom to ask for, in order."""
        self._is_open = self._is_listing = self._is_urgent = False
        self._list_s = 0.0
        self._untold_s: float | None = None
        self._messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._reader = EventReader(door.at, door.events, self._messages.put)
        self._thread = threading.Thread(target=self._run, name="docker", daemon=True)

    @property
    def running(self) -> tuple[Container, ...]:
        """Those that serve, as far as is known."""
        return self._table.running

    def health(self, id_: str) -> Health | None:
        """Return what the HEALTHCHECK says; None while that is not known."""
        return self._table.health(id_) if self.away is None else None

    def follow(self, refs: frozenset[str] | None) -> None:
        """Mind these names, ids or beginnings of ids alone; None means all that run."""
        self._refs = refs
        if self._thread.is_alive():
            self._messages.put(_Relist())

    def look(self) -> None:
        """Ask once, in this thread, before `start()`. Raises DockerError when that fails."""
        try:
            self._list()
            while self._pending:
                self._ask_next()
        except DockerError as error:
            self.errors += 1
            self.away = str(error)
            raise
        self._untold_s = None
        self._is_listing, self.seen = False, True

    def start(self) -> None:
        self._thread.start()
        self._reader.start()

    def stop(self, timeout_s: float) -> None:
        """End both threads within `timeout_s`, and close the door; may be called twice."""
        deadline_s = time.monotonic() + timeout_s
        self._stopping.set()
        self._messages.put(_Relist())
        self._reader.stop(timeout_s)
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline_s - time.monotonic()))
        self._door.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except DockerError as error:
                self._lost(error)
                self._reader.reopen()
            except Exception:
                self.errors += 1
                self._list_s = time.monotonic() + AGAIN_S
                _log.exception("unforeseen; asking Docker for all again")

    def _turn(self) -> None:
        """Take up all that has come, tell what it ended, and only then ask for one container."""
        for message in self._wait():
            self._take(message)
        self._say(self._is_urgent)
        if self._stopping.is_set():
            return
        if not self._pending and self._is_open and time.monotonic() >= self._list_s:
            self._list()
        if self._pending:
            self._ask_next()
        if self._is_listing and not self._pending:
            self._listed()
            self._reader.confirm()
        self._say(not self._pending)

    def _wait(self) -> list[_Message]:
        """Return all that has come; wait for something when there is nothing else to do."""
        timeout_s: float | None = 0.0
        if not self._pending:
            timeout_s = max(0.0, self._list_s - time.monotonic()) if self._is_open else None
        messages: list[_Message] = []
        with contextlib.suppress(queue.Empty):
            messages.append(self._messages.get(timeout=timeout_s))
            while True:
                messages.append(self._messages.get_nowait())
        return messages

    def _take(self, message: _Message) -> None:
        match message:
            case Event():
                self._take_event(message)
            case Opened():
                self._is_open, self._list_s = True, 0.0
            case Broken():
                self._lost(message.error)
            case _Relist():
                self._pending.clear()
                self._list_s = 0.0

    def _take_event(self, event: Event) -> None:
        _log.debug("container %s: %s %s", event.name or event.container, event.action, event.detail)
        to_ask = list(self._concerned(event))
        if event.is_down:
            self._moved(event.container, self._table.down(event, time.monotonic()))
            if event.action in ("die", "destroy"):
                self._pending.pop(event.container, None)
        elif event.action == HEALTH:
            self._moved(event.container, self._table.told_health(event))
        self._pending.update(dict.fromkeys(to_ask))

    def _concerned(self, event: Event) -> Iterator[str]:
        """Yield whom to ask for because of `event`."""
        if event.action in (HEALTH, "kill"):
            return
        id_ = event.container
        touched = set(self._table.sharing(id_))
        if self._refs is None:
            if event.action in _ALIVE or (not event.is_down and id_ in self._table):
                yield id_
            yield from sorted(touched)
            return
        if not event.is_down:
            touched.add(id_)
        for ref in self._refs:
            is_meant = not event.is_down and (ref == event.name or id_.startswith(ref))
            if is_meant or self._found.get(ref) in touched:
                yield ref

    def _list(self) -> None:
        """Begin to ask for all. What is not among them goes."""
        refs = self._refs
        if refs is None:
            asked = self._door.containers()
            self._found.clear()
            self._keep_only(asked)
        else:
            asked = sorted(refs)
            self._found = {ref: id_ for ref, id_ in self._found.items() if ref in refs}
        self._faulty = {ref: said for ref, said in self._faulty.items() if ref in asked}
        self._pending = dict.fromkeys(asked)
        self._is_listing = True
        self._list_s = time.monotonic() + self._resync_s

    def _ask_next(self) -> None:
        ref = next(iter(self._pending))
        del self._pending[ref]
        try:
            seen = self._door.inspect(ref)
        except DockerRefused:
            raise
        except DockerError as error:
            self._complain(ref, error)
        else:
            self._faulty.pop(ref, None)
            if seen is not None:
                if self._refs is not None:
                    self._found[ref] = seen.id
                self._moved(seen.id, self._table.take(seen, time.monotonic()))
            elif self._refs is not None:
                self._found.pop(ref, None)
            else:
                self._moved(ref, self._table.gone(ref))
        if self._refs is not None and not self._pending:
            self._keep_only(self._found.values())

    def _complain(self, ref: str, error: DockerError) -> None:
        """Say once what is wrong with one container. Raises DockerError when it is Docker."""
        self.errors += 1
        if isinstance(error, DockerAway):
            self._door.ping()
            if ref not in self._faulty:  # the connection may have been an old one
                self._faulty[ref] = ""
                self._pending[ref] = None
                return
        if self._faulty.get(ref) != str(error):
            self._faulty[ref] = str(error)
            _log.warning("%s; the others go on", error)

    def _listed(self) -> None:
        """All has been asked for."""
        self._is_listing = False
        self.seen = True
        if self.away is not None:
            self.away = None
            _log.info("Docker at %s answers again", self._door.at)

    def _lost(self, error: DockerError) -> None:
        """Keep what is known until Docker answers."""
        self.errors += 1
        self._is_open = self._is_listing = False
        self._pending.clear()
        if self.away is None or (isinstance(error, DockerRefused) and self.away != str(error)):
            _log.warning("%s; keeping what is known", error)
        self.away = str(error)

    def _keep_only(self, ids: Collection[str]) -> None:
        for moved in self._table.keep_only(set(ids)):
            self._moved("", moved)

    def _moved(self, id_: str, moved: Moved) -> None:
        if moved.reason:
            _log.info("container %s: %s", moved.name, moved.reason)
            self._is_urgent = True
        if moved.changed and self._untold_s is None:
            self._untold_s = time.monotonic()
        if moved.health_changed:
            self._tell_health(id_)

    def _say(self, is_urgent: bool) -> None:
        """Tell what has changed, if anything has; with others, unless it is urgent."""
        untold_s = self._untold_s
        if untold_s is None or self._stopping.is_set():
            return
        if is_urgent or time.monotonic() >= untold_s + TOGETHER_S:
            self._tell()
            self._untold_s, self._is_urgent = None, False
