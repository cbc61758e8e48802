"""Load for a proxy: requests at a constant rate, each with what became of it.

    with Traffic(port) as traffic:
        ...                     # restart, kill and hang what is behind the proxy
    assert not traffic.failures, traffic.told()

The loop is open: a request begins when it is due, whatever became of those before it. Nothing that
the proxy has lost is sent again, with one exception, which is counted: a proxy may close a
connection that is idle just when a client uses it again, as nginx does at each reload (before
1.27.4, by about one in forty reloads at this rate). No client can know, and every one, browsers
and libraries alike, sends such a request again on a new connection (RFC 9112, section 9.3.1).
One thread; 200 requests a second take a tenth of a core.
"""

import asyncio
import contextlib
import itertools
import threading
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tests.waiting import wait_for

RATE = 200.0
TIMEOUT_S = 10.0
MOST_S = 100.0
"""No load goes on for longer, whatever a test does."""
_TOLD = 20
_ORDER = "one more of each, please"


class _Broken(Exception):
    """What came back is not a whole, good answer."""


class _Closed(_Broken):
    """Nothing came back at all."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `failure` is None when a whole answer with a status below 500 came.

    `resent` says that its connection had carried another and was closed without a word, and so
    it was sent again on a new one.
    """

    began_s: float
    took_s: float
    resent: bool
    app: str | None
    failure: str | None

    def __str__(self) -> str:
        again = ", sent again" if self.resent else ""
        return f"at {self.began_s:.3f} after {self.took_s:.3f} s{again}: {self.failure}"


@dataclass(eq=False, slots=True)
class _Connection:
    reader: StreamReader
    writer: StreamWriter


class Traffic:
    """Asks a port of the loopback for /load while entered; then waits for what is under way.

    With `keep_alive`, connections are used again, the one used last first. What is not to be done
    twice, a POST, wants new ones. Times are those of time.monotonic.
    """

    def __init__(
        self,
        port: int,
        *,
        rate: float = RATE,
        method: str = "GET",
        keep_alive: bool = True,
        timeout_s: float = TIMEOUT_S,
        host: str = "127.0.0.1",
    ) -> None:
        self._address = (host, port)
        self._rate = rate
        self._timeout_s = timeout_s
        lines = [f"{method} /load HTTP/1.1", "Host: localhost"]
        lines += ["Connection: close"] * (not keep_alive)
        lines += [f"Content-Length: {len(_ORDER)}", "", _ORDER] if method == "POST" else ["", ""]
        self._words = "\r\n".join(lines).encode()
        self._idle: list[_Connection] = []
        self._done: list[Request] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def requests(self) -> Sequence[Request]:
        """Those that have ended so far."""
        return self._done[:]

    @property
    def failures(self) -> list[Request]:
        return [request for request in self.requests if request.failure is not None]

    @property
    def resent(self) -> int:
        """How many were sent again."""
        return sum(request.resent for request in self.requests)

    def told(self) -> str:
        """How it went, for the message of an assertion."""
        requests, failures = self.requests, self.failures
        answers = Counter(request.app for request in requests if request.failure is None)
        lines = [
            f"{len(failures)} of {len(requests)} requests failed, {self.resent} were sent again;"
            f" answers: {dict(answers)}"
        ]
        lines += [str(failure) for failure in failures[:_TOLD]]
        lines += [f"and {len(failures) - _TOLD} more"] * (len(failures) > _TOLD)
        return "\n".join(lines)

    def answers(self, since_s: float) -> Counter[str | None]:
        """How many requests that began since then each app has answered."""
        return Counter(r.app for r in self.requests if r.began_s >= since_s and not r.failure)

    def reaches(self, *apps: str, timeout_s: float = 15.0) -> None:
        """Wait until each of `apps` has answered a request that begins after now."""
        since_s = time.monotonic()
        wait_for(
            lambda: self.answers(since_s).keys() >= set(apps),
            timeout_s=timeout_s,
            what=f"{', '.join(apps)} got requests",
        )

    # In the thread

    def _run(self) -> None:
        asyncio.run(self._send())

    async def _send(self) -> None:
        start_s = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        for number in itertools.count():
            due_s = start_s + number / self._rate
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            if self._over.is_set() or due_s > start_s + MOST_S:
                break
            task = asyncio.create_task(self._request())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for connection in self._idle:
            connection.writer.close()
        # Closing is carried out by the loop's next turns.
        for connection in self._idle:
            with contextlib.suppress(OSError):
                await connection.writer.wait_closed()

    async def _request(self) -> None:
        began_s = time.monotonic()
        resent, app, failure = False, None, None
        try:
            async with asyncio.timeout(self._timeout_s):
                used = self._used()
                if used is not None:
                    try:
                        app = await self._ask(used)
                    except _Closed:
                        resent = True
                if app is None:
                    new = _Connection(*await asyncio.open_connection(*self._address))
                    app = await self._ask(new)
        except TimeoutError:
            failure = f"no answer in {self._timeout_s:g} s"
        except (OSError, _Broken, asyncio.IncompleteReadError, ValueError) as error:
            failure = f"{type(error).__name__}: {error}"
        took_s = time.monotonic() - began_s
        self._done.append(Request(began_s, took_s, resent, app, failure))

    async def _ask(self, connection: _Connection) -> str:
        """Return what the answer says; keep the connection if it can be used again."""
        lasting = False
        try:
            connection.writer.write(self._words)
            app, lasting = await _answer(connection.reader)
            return app
        finally:
            if lasting:
                self._idle.append(connection)
            else:
                connection.writer.transport.abort()

    def _used(self) -> _Connection | None:
        """A connection that the other end has not closed while it was idle."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.reader.at_eof() and connection.reader.exception() is None:
                return connection
            connection.writer.transport.abort()
        return None


async def _answer(reader: StreamReader) -> tuple[str, bool]:
    """Return what the body says, and whether the connection can be used again."""
    try:
        status_line = await reader.read(1)
    except ConnectionError as error:
        raise _Closed(str(error)) from error
    if not status_line:
        raise _Closed("the connection was closed")
    status_line += await reader.readline()
    if not status_line.endswith(b"\r\n"):
        raise _Broken(f"the connection was closed after {status_line!r}")
    status = int(status_line.split()[1])
    headers = {}
    while (line := await reader.readline()) != b"\r\n":
        if not line.endswith(b"\r\n"):
            raise _Broken("the connection was closed within the headers")
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    if status >= 500:
        raise _Broken(f"status {status}: {body[:80]!r}")
    lasting = "content-length" in headers and headers.get("connection", "").lower() != "close"
    return body.decode().strip(), lasting
