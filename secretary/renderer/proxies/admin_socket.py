"""haproxy's admin socket: commands go in, answers come out, in order.

In its interactive mode, where each answer has an end that can be told. Many commands are under way
at once, and are written while answers are read, so that neither side waits for the other. Knows
nothing of what they mean.
"""

import contextlib
import errno
import select
import socket
from collections.abc import Iterator, Sequence
from typing import Final, Self

from secretary.core.errors import ReloadFailed

_END: Final = "\n> "
_PROMPT: Final = _END.encode()
CHUNK: Final = 1 << 16
"""How many bytes are written or read at once."""


class AdminSocket:
    """A connection, while entered.

    Every method raises ReloadFailed, and names the socket, when haproxy is not there, hangs up, or
    says nothing for `timeout_s`.
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        connection = socket.socket(socket.AF_UNIX)
        try:
            with self._translated():
                connection.settimeout(self._timeout_s)
                connection.connect(self._path)
                connection.setblocking(False)
                self._talk(connection, b"prompt\n", 1)
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, commands: Sequence[str]) -> list[str]:
        """Return an answer to each command, without the line ends around it."""
        if self._socket is None:
            raise ValueError("not entered")
        if not commands:
            return []
        text = "".join(f"{command}\n" for command in commands)
        with self._translated():
            told = self._talk(self._socket, text.encode(), len(commands))
        return [answer.strip("\n") for answer in told.decode(errors="replace").split(_END)[:-1]]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        where = f"haproxy's socket {self._path}"
        try:
            yield
        except TimeoutError:
            raise ReloadFailed(
                f"{where}: no answer within {self._timeout_s:g} s; does haproxy, or its host, hang?"
            ) from None
        except OSError as error:
            raise ReloadFailed(
                f"{where}: {error.strerror or error}; does haproxy run, and with this socket?"
            ) from error

    def _talk(self, connection: socket.socket, text: bytes, answers: int) -> bytes:
        unsent = memoryview(text)
        told: list[bytes] = []
        tail = b""  # the end of an answer may come in two pieces
        poll = select.poll()
        poll.register(connection, select.POLLIN | select.POLLOUT)
        while answers > 0:
            events = poll.poll(self._timeout_s * 1000)
            if not events:
                raise TimeoutError
            ((_, event),) = events
            with contextlib.suppress(BlockingIOError):
                if event & ~select.POLLOUT:
                    if not (chunk := connection.recv(CHUNK)):
                        raise ConnectionResetError(errno.ECONNRESET, "it hung up")
                    told.append(chunk)
                    answers -= (tail + chunk).count(_PROMPT)
                    tail = (tail + chunk)[1 - len(_PROMPT) :]
            with contextlib.suppress(BlockingIOError):
                if unsent and event & select.POLLOUT:
                    unsent = unsent[connection.send(unsent[:CHUNK]) :]
                    if not unsent:
                        poll.modify(connection, select.POLLIN)
        return b"".join(told)
