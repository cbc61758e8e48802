"""A Docker host in memory: the door to it, and what an operator does to it.

It tells events in the order of the real one, which `tests/contract/test_docker.py` holds. It can
break, freeze, go away, and keep silent about what happens.
"""

import queue
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from secretary.agent.discovery.docker_events import Event
from secretary.agent.discovery.inspected import Inspected, nanoseconds
from secretary.core.container import Container, Health
from secretary.core.errors import DockerAway, DockerError, DockerRefused

NETWORK = "bridge"
_NS = 1_000_000_000


class FakeStream:
    """Events as they are put; ends by `close()`, or with an error by `break_off()`."""

    def __init__(self) -> None:
        self.is_closed = False
        self._put = self._read = 0
        self._events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()

    @property
    def is_read(self) -> bool:
        """Whether all has been taken, and the reader is back for more."""
        return self._read == self._put

    def put(self, event: Event) -> None:
        self._put += 1
        self._events.put(event)

    def break_off(self) -> None:
        self._events.put(DockerAway("Docker at fake does not answer: the events ended"))

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.is_closed = True
        self._events.put(None)

    def __iter__(self) -> Iterator[Event]:
        while (event := self._events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
            self._read += 1


class FakeDocker:
    """`calls` are the questions so far. `away` fails them all, `faults` those about one ref."""

    at = "fake"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.away: DockerError | None = None
        self.faults: dict[str, Exception] = {}
        self.refused: DockerRefused | None = None
        """Why no events are told."""
        self.is_silent = False
        """Whether what happens goes untold."""
        self.is_closed = False
        self.is_aborted = False
        self.answering = threading.Event()
        """Cleared, every question waits."""
        self.answering.set()
        self.asked = threading.Semaphore(0)
        """Released at each inspection, before it may wait."""
        self.delivering = threading.Event()
        """Cleared, the answers of inspections are on their way for as long."""
        self.delivering.set()
        self.answered = threading.Semaphore(0)
        """Released when the answer of an inspection is made, before it may wait."""
        self.streams: list[FakeStream] = []
        self._containers: dict[str, Inspected] = {}
        self._lock = threading.RLock()
        self._now_ns = 1_795_000_000 * _NS

    # The door

    def containers(self) -> list[str]:
        self._question("list")
        return [each.id for each in self._containers.values() if _runs(each)]

    def inspect(self, ref: str) -> Inspected | None:
        self.asked.release()
        self._question(f"inspect {ref}")
        if ref in self.faults:
            raise self.faults[ref]
        with self._lock:
            found = self._find(ref)
            if found is not None and found.network_of is not None:
                found = found.joined(self._find(found.network_of))
        self.answered.release()
        self.delivering.wait()
        return found

    def events(self) -> FakeStream:
        self._question("events")
        if self.refused is not None:
            raise self.refused
        stream = FakeStream()
        with self._lock:
            self.streams.append(stream)
        return stream

    def ping(self) -> None:
        self._question("ping")

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.is_closed = True

    # The host

    def run(self, name: str, **more: Any) -> str:
        """Make a container and start it; return its id. `more` are fields of Inspected."""
        id_: str = more.pop("id", uuid.uuid4().hex * 2)
        about: dict[str, Any] = {
            "started_ns": 0, "serves": False, "health": Health.NONE, "stop_signal": 15,
            "stop_timeout_s": None, "network_of": None,
        }  # fmt: skip
        labels: dict[str, str] = more.pop("labels", {"secretary.name": name})
        container = Container(id_, name, "image:1", "", labels=labels)
        self._containers[id_] = Inspected(container, **(about | more))
        self.start(name)
        return id_

    def start(self, name: str) -> None:
        with self._lock:
            container = self._named(name)
            networks = {NETWORK: f"10.0.0.{len(self._containers) + 1}"}
            if container.network_of is None:
                self.tell("connect", container)
            now_ns = self._tick()
            self._change(container, serves=True, started_ns=now_ns, started_at=_written(now_ns),
                         networks=networks)  # fmt: skip
            self.tell("start", container)

    def pause(self, name: str) -> None:
        self.tell("pause", self._change(self._named(name), serves=False))

    def unpause(self, name: str) -> None:
        self.tell("unpause", self._change(self._named(name), serves=True))

    def kill(self, name: str, signal: int = 9, *, ends: bool = True) -> None:
        with self._lock:
            container = self._named(name)
            self.tell("kill", container, str(signal))
            if ends:
                self._end(container, 128 + signal)

    def stop(self, name: str) -> None:
        with self._lock:
            self.kill(name, self._named(name).stop_signal)
            self.tell("stop", self._named(name))

    def end_unseen(self, name: str) -> None:
        """Let its process end, and tell nobody."""
        self._change(self._named(name), serves=False)

    def end(self, name: str, status: int = 0) -> None:
        """Let its process end by itself."""
        self._end(self._named(name), status)

    def remove(self, name: str) -> None:
        """Remove it as `docker rm --force` does."""
        with self._lock:
            if _runs(self._named(name)):
                self.kill(name)
            container = self._named(name)
            del self._containers[container.id]
            self.tell("destroy", container)

    def rename(self, name: str, to: str) -> None:
        self.tell("rename", self._change(self._named(name), name=to))

    def connect(self, name: str, network: str, ip: str) -> None:
        container = self._named(name)
        networks = {**container.container.networks, network: ip}
        self.tell("connect", self._change(container, networks=networks))

    def disconnect(self, name: str, network: str = NETWORK) -> None:
        container = self._named(name)
        networks = {k: v for k, v in container.container.networks.items() if k != network}
        self.tell("disconnect", self._change(container, networks=networks))

    def check_health(self, name: str, health: Health) -> None:
        container = self._change(self._named(name), health=health)
        self.tell("health_status", container, health.value)

    # Trouble

    def tell(
        self, action: str, of: Inspected | str, detail: str = "", at_ns: int | None = None
    ) -> None:
        """Put an event on every stream; by itself it changes nothing."""
        container = self._named(of) if isinstance(of, str) else of
        name = "" if action in ("connect", "disconnect") else container.container.name
        now_ns = self._tick()
        event = Event(action, container.id, now_ns if at_ns is None else at_ns, name, detail)
        with self._lock:
            if not self.is_silent:
                for stream in self.streams:
                    stream.put(event)

    def break_streams(self) -> None:
        with self._lock:
            streams, self.streams = self.streams, []
        for stream in streams:
            stream.break_off()

    def go_away(self) -> None:
        """Answer nothing any more, and break the streams."""
        self.away = DockerAway("Docker at fake does not answer: connection refused")
        self.break_streams()

    def come_back(self) -> None:
        self.away = None

    def started_ns(self, name: str) -> int:
        return self._named(name).started_ns

    def _question(self, what: str) -> None:
        self.calls.append(what)
        self.answering.wait()
        if self.away is not None:
            raise self.away

    def _find(self, ref: str) -> Inspected | None:
        everyone = list(self._containers.values())
        named = [each for each in everyone if ref in (each.container.name, each.id)]
        return next(iter(named or [each for each in everyone if each.id.startswith(ref)]), None)

    def _named(self, name: str) -> Inspected:
        return next(each for each in self._containers.values() if each.container.name == name)

    def _end(self, container: Inspected, status: int) -> None:
        with self._lock:
            container = self._change(container, serves=False, health=Health.NONE, networks={})
            self.tell("die", container, str(status))
            if container.network_of is None:
                self.tell("disconnect", container)

    def _change(self, seen: Inspected, **changes: Any) -> Inspected:
        with self._lock:
            names = {"name", "networks", "started_at"}
            inner = {key: value for key, value in changes.items() if key in names}
            outer = {key: value for key, value in changes.items() if key not in names}
            now = replace(seen, container=replace(seen.container, **inner), **outer)
            self._containers[seen.id] = now
            return now

    def _tick(self) -> int:
        with self._lock:
            self._now_ns += 1_000_003
            return self._now_ns


def _runs(container: Inspected) -> bool:
    """Return whether it is listed: those that are paused have their networks still."""
    return container.serves or bool(container.container.networks)


def _written(at_ns: int) -> str:
    second = datetime.fromtimestamp(at_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    written = f"{second}.{at_ns % _NS:09d}Z"
    assert nanoseconds(written) == at_ns
    return written
