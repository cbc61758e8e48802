"""An app to put behind a proxy and under load: it answers with its name, and keeps a journal.

    python -m tests.sample_app 127.0.1.1 8080 one 0.02 journal

A request to /load takes the given seconds, and is in the journal when it came in (`+`) and when
it was answered (`-`): what is read there after a crash says what was in flight. Anything else is
answered at once. SIGTERM ends it gracefully: no new connection, no new request, and all that came
in is answered.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio import StreamReader, StreamWriter

_LENGTH = re.compile(rb"^Content-Length: *([0-9]+)", re.IGNORECASE | re.MULTILINE)
BACKLOG = 1024
"""So that nobody is refused while it hangs."""


class SampleApp:
    def __init__(self, name: str, delay_s: float, journal: int) -> None:
        self._body = f"{name}\n".encode()
        self._delay_s = delay_s
        self._journal = journal
        self._stopping = asyncio.Event()
        self._idle: dict[asyncio.Task[None], bool] = {}

    async def run(self, ip: str, port: int) -> None:
        """Serve until SIGTERM."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stopping.set)
        server = await asyncio.start_server(self._serve, ip, port, backlog=BACKLOG)
        await self._stopping.wait()
        server.close()
        connections = list(self._idle)
        for connection, idle in self._idle.items():
            if idle:
                connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._idle[connection] = True
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not self._stopping.is_set():
                    head = await reader.readuntil(b"\r\n\r\n")
                    self._idle[connection] = False
                    if length := _LENGTH.search(head):
                        await reader.readexactly(int(length[1]))
                    if head.split(b" ", 2)[1] == b"/load":
                        os.write(self._journal, b"+")
                        await asyncio.sleep(self._delay_s)
                        await self._answer(head, writer)
                        os.write(self._journal, b"-")
                    else:
                        await self._answer(head, writer)
                    if b"connection: close" in head.lower():
                        break
                    self._idle[connection] = True
        finally:
            del self._idle[connection]
            writer.close()

    async def _answer(self, head: bytes, writer: StreamWriter) -> None:
        last = b"Connection: close\r\n" if self._stopping.is_set() else b""
        said = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (len(self._body), last)
        writer.write(said + (b"" if head.startswith(b"HEAD ") else self._body))
        await writer.drain()


def main() -> None:
    ip, port, name, delay_s, journal = sys.argv[1:]
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    asyncio.run(SampleApp(name, float(delay_s), file).run(ip, int(port)))


if __name__ == "__main__":
    main()
