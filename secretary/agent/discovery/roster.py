"""The containers that serve, kept true by Docker's events and a look at all of them now and then.

One thread reads events, one asks, and one owns the table, which waits for neither. While Docker
does not answer, what is known is kept; then everything is asked anew. What ends a container is
acted on without a question.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final

from secretary.agent.discovery.asker import Answer, Asker
from secretary.agent.discovery.docker_events import HEALTH, Event
from secretary.agent.discovery.door import Door
from secretary.agent.discovery.event_reader import Broken, EventReader, Opened, Stream
from secretary.agent.discovery.inspected import Inspected
from secretary.agent.discovery.messages import Follow, Message, Stop, Told
from secretary.agent.discovery.questions import Asked, Questions
from secretary.agent.discovery.reach import Reach
from secretary.agent.discovery.table import Moved, Table
from secretary.agent.discovery.wanted import Wanted
from secretary.core.container import Container, Health
from secretary.core.errors import DockerAway, DockerError, DockerRefused

_log = logging.getLogger(__name__)

RESYNC_S: Final = 60.0
AGAIN_S: Final = 2.0
"""When to ask for all again after something unforeseen."""
LONGEST_ANSWER_S: Final = 15.0
"""One that drips in for longer is none; Docker's door gives up sooner where nothing comes."""
TOGETHER_S: Final = 0.05
"""Containers that are found within so long are told together."""


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
        self.seen = False
        """Whether all containers have been told since the start."""
        self.beat_s = time.monotonic()
        """When the loop last turned; it does so with each answer, event and list."""
        self._door = door
        self._tell = tell
        self._tell_health = tell_health
        self._resync_s = resync_s
        self._wanted = Wanted()
        self._table = Table()
        self._questions = Questions()
        self._reach = Reach()
        self._is_open = self._is_listing = self._is_urgent = False
        self._list_s = time.monotonic() + resync_s
        self._untold_s: float | None = None
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._reader = EventReader(door.at, self._open, self._messages.put)
        self._asker: Asker[Told] = Asker(self._messages.put)
        self._thread = threading.Thread(target=self._run, name="docker", daemon=True)

    @property
    def running(self) -> tuple[Container, ...]:
        """Those that serve, as far as is known."""
        return self._table.running

    @property
    def away(self) -> str | None:
        """Why Docker does not answer; None when it does."""
        return self._reach.away

    @property
    def errors(self) -> int:
        return self._reach.errors

    def health(self, id_: str) -> Health | None:
        """Return what the HEALTHCHECK says; None while that is not known."""
        return self._table.health(id_) if self.away is None else None

    def follow(self, refs: frozenset[str] | None) -> None:
        """Mind these names, ids or beginnings of ids alone; None means all that run."""
        if self._thread.is_alive():
            self.seen = self.seen and refs == self._wanted.refs
            self._messages.put(Follow(refs))
        else:
            self._wanted.follow(refs)

    def knock(self) -> None:
        """Ask for a little, in this thread, before `start()`: DockerError if Docker lets us not."""
        with self._noting():
            self._door.events().close()
            refs = self._wanted.refs
            if refs is None:
                self._door.containers()
            else:
                self._door.inspect(next(iter(refs), "none"))

    def look(self) -> None:
        """Ask for all, in this thread, instead of `start()`. Raises DockerError when that fails."""
        with self._noting():
            self._door.events().close()
            refs = self._wanted.refs
            for ref in self._door.containers() if refs is None else sorted(refs):
                try:
                    self._found(ref, self._inspect(ref))
                except (DockerAway, DockerRefused):
                    raise
                except DockerError as error:
                    self._complain(ref, error, is_last=True)
        self.seen = True

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except DockerError as error:
            self._reach.lost(error)
            raise

    def start(self) -> None:
        self._thread.start()
        self._asker.start()
        self._reader.start()

    def stop(self, timeout_s: float) -> None:
        """End all threads within `timeout_s`, and close the door; may be called twice."""
        deadline_s = time.monotonic() + timeout_s
        self._stopping.set()
        self._messages.put(Stop())
        self._reader.stop(timeout_s)
        self._asker.stop(max(0.0, deadline_s - time.monotonic()))
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline_s - time.monotonic()))
        self._door.close()

    def _open(self) -> Stream:
        # Another daemon may answer now, of another version: what was agreed with the last is void.
        self._door.close()
        return self._door.events()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except DockerError as error:
                self._lost(error)
                self._reader.reopen()
            except Exception:
                self._reach.errors += 1
                self._list_s = time.monotonic() + AGAIN_S
                _log.exception("unforeseen; asking Docker for all again")

    def _turn(self) -> None:
        """Take up all that has come, tell what it ended, and only then ask for something."""
        self.beat_s = time.monotonic()
        for message in self._wait():
            self._take(message)
        self._say(self._is_urgent)
        if self._stopping.is_set():
            return
        asked = self._questions.asked
        if asked is None:
            self._ask()
        elif time.monotonic() >= asked.since_s + LONGEST_ANSWER_S:
            self._give_up(asked)
        self._say(self._questions.asked is None)

    def _give_up(self, asked: Asked) -> None:
        """Wait no longer for an answer that drips in. Raises DockerAway if it was for all."""
        self._door.abort()
        self._asker.give_up()
        self._questions.answered(asked.number)
        said = f"Docker at {self._door.at}: no answer was whole after {LONGEST_ANSWER_S:g} s"
        if asked.ref is None:
            raise DockerAway(said)
        self._complain(asked.ref, DockerError(f"container {asked.ref}: {said}"))

    def _ask(self) -> None:
        """Ask for all, if it is time to, or else for one that is to be asked for."""
        if not self._questions and time.monotonic() >= self._list_s:
            self._is_listing = True
            self._list_s = time.monotonic() + self._resync_s
            if self._wanted.refs is None:
                self._put(None, self._door.containers)
                return
            self._questions.add_all(sorted(self._wanted.refs))
        if self._questions:
            ref = self._questions.next()
            self._put(ref, partial(self._inspect, ref))
        elif self._is_listing:
            self._listed()
            self._reader.confirm()

    def _put(self, ref: str | None, question: Callable[[], Told]) -> None:
        self._asker.ask(self._questions.ask(ref, time.monotonic()), question)

    def _inspect(self, ref: str) -> Inspected | None:
        """Ask for one. DockerAway when nothing is answered, DockerError when this one is not."""
        try:
            return self._door.inspect(ref)
        except DockerAway as error:
            self._door.ping()
            raise DockerError(str(error)) from error

    def _wait(self) -> list[Message]:
        """Return all that has come; wait for something when there is nothing else to do."""
        if (asked := self._questions.asked) is not None:
            timeout_s = max(0.0, asked.since_s + LONGEST_ANSWER_S - time.monotonic())
        elif self._questions:
            timeout_s = 0.0
        else:
            timeout_s = max(0.0, self._list_s - time.monotonic())
        messages: list[Message] = []
        with contextlib.suppress(queue.Empty):
            messages.append(self._messages.get(timeout=timeout_s))
            while True:
                messages.append(self._messages.get_nowait())
        return messages

    def _take(self, message: Message) -> None:
        match message:
            case Event():
                self._take_event(message)
            case Answer():
                self._take_answer(message)
            case Opened():
                self._is_open, self._list_s = True, 0.0
            case Broken():
                self._lost(message.error)
            case Follow():
                self._wanted.follow(message.refs)
                self._questions.forget()
                self._list_s = 0.0

    def _take_event(self, event: Event) -> None:
        _log.debug("container %s: %s %s", event.name or event.container, event.action, event.detail)
        to_ask = list(self._wanted.concerned(event, self._table))
        if self._table.is_late(event):
            # Of a life before; or the clock was set back, and it is of this one.
            to_ask += self._wanted.asked_as(event.container)
        if event.is_down:
            self._moved(event.container, self._table.down(event, time.monotonic()))
            if event.action != "kill":
                self._questions.avoid()
            if event.action in ("die", "destroy"):
                self._questions.drop(event.container)
        elif event.action == HEALTH:
            self._moved(event.container, self._table.told_health(event))
        self._questions.add(to_ask)

    def _take_answer(self, answer: Answer[Told]) -> None:
        if (asked := self._questions.answered(answer.number)) is None:
            return
        ref, error = asked.ref, answer.error
        if ref is not None and type(error) is DockerError:
            self._complain(ref, error)
        elif error is not None:
            raise error
        elif isinstance(answer.value, list):
            self._keep_only(answer.value)
            self._questions.add_all(answer.value)
        elif ref is not None and asked.is_void:
            self._questions.add([ref])
        elif ref is not None:
            self._found(ref, answer.value)

    def _found(self, ref: str, seen: Inspected | None) -> None:
        """Take up what was told of one container; None when there is none."""
        self._questions.succeeded(ref)
        is_all = self._wanted.refs is None
        if seen is not None and not is_all and not seen.container.answers_to(ref):
            seen = None  # Docker takes any beginning of an id for its container
        self._wanted.found(ref, seen.id if seen is not None else None)
        if seen is not None:
            self._moved(seen.id, self._table.take(seen, time.monotonic()))
        elif is_all:
            self._moved(ref, self._table.gone(ref))
        if not is_all and not self._questions:
            self._keep_only(self._wanted.ids)

    def _complain(self, ref: str, error: DockerError, *, is_last: bool = False) -> None:
        """Say once what is wrong with one container."""
        self._reach.errors += 1
        if self._questions.failed(ref, str(error), is_last=is_last):
            _log.warning("%s; the others go on", error)

    def _listed(self) -> None:
        """All has been asked for."""
        self._is_listing = False
        self.seen = True
        if self._is_open and self._reach.answered():
            _log.info("Docker at %s answers again", self._door.at)
        if self._untold_s is None:
            # What was known when others asked may have changed without us: addresses of this host.
            self._untold_s = time.monotonic()
        self._is_urgent = True

    def _lost(self, error: DockerError) -> None:
        """Keep what is known until Docker answers."""
        self._is_open = self._is_listing = False
        self._questions.forget()
        self._list_s = time.monotonic() + self._resync_s
        if self._reach.lost(error):
            _log.warning("%s; keeping what is known", error)

    def _keep_only(self, ids: Collection[str]) -> None:
        for moved in self._table.keep_only(set(ids)):
            self._moved("", moved)

    def _moved(self, id_: str, moved: Moved) -> None:
        if moved.reason:
            is_news = moved.is_news or self._wanted.refs is not None
            level = logging.INFO if is_news else logging.DEBUG
            _log.log(level, "container %s: %s", moved.name, moved.reason)
            self._is_urgent = True
        if moved.stays:
            _log.warning("container %s: was told to stop, and still runs; taken back", id_[:12])
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
