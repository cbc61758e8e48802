"""An app for the benchmarks: one process on many ports, told how to behave on its stdin.

ok, 500    answer with 200 or 500
hang       take connections and answer nothing, until it is told otherwise
refuse     stop listening
"""

import asyncio
import sys

HOST = "127.0.0.1"
ANSWERS = {
    "ok": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n",
    "500": b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}


class App:
    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._mode = "ok"
        self._told = asyncio.Event()
        self._servers: list[asyncio.Server] = []

    async def run(self) -> None:
        await self._listen()
        print("ready", flush=True)
        orders = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while order := (await orders.readline()).decode().strip():
            await self._obey(order)
            print(order, flush=True)

    async def _listen(self) -> None:
        for port in self._ports:
            self._servers.append(await asyncio.start_server(self._answer, HOST, port))

    async def _obey(self, order: str) -> None:
        self._mode = order
        self._told.set()
        self._told = asyncio.Event()
        if order == "refuse":
            for server in self._servers:
                server.close()
            self._servers.clear()
        elif not self._servers:
            await self._listen()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            while self._mode not in ANSWERS:
                await self._told.wait()
            writer.write(ANSWERS[self._mode])
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the prober has gone: its own affair
        finally:
            writer.close()


if __name__ == "__main__":
    asyncio.run(App([int(port) for port in sys.argv[1:]]).run())
