"""A server that misbehaves as a test tells it to, one behaviour for every connection."""

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket, threading.Event], None]
"""Handles a connection; the event is set when the server ends."""

DRIP_S = 0.05


@contextmanager
def hostile(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, backlog: int = 16
) -> Iterator[int]:
    """Serve on a free port of 127.0.0.1, which is what this yields."""
    over = threading.Event()
    handlers: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        # What the client does to us is not the matter here.
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            if tls is not None:
                with tls.wrap_socket(connection, server_side=True) as wrapped:
                    behaviour(wrapped, over)
            else:
                behaviour(connection, over)

    def accept(server: socket.socket) -> None:
        while not over.is_set():
            if select.select([server], [], [], 0.01)[0]:
                handler = threading.Thread(target=handle, args=(server.accept()[0],))
                handler.start()
                handlers.append(handler)

    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        acceptor = threading.Thread(target=accept, args=(server,))
        acceptor.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            over.set()
            for thread in (acceptor, *handlers):
                thread.join()


def asked(connection: socket.socket) -> bytes:
    """Read the request's head."""
    head = b""
    while b"\r\n\r\n" not in head and (chunk := connection.recv(4096)):
        head += chunk
    return head


def says(answer: bytes) -> Behaviour:
    """Answer with these bytes, and close."""

    def behave(connection: socket.socket, _: threading.Event) -> None:
        asked(connection)
        connection.sendall(answer)

    return behave


def repeats(start: bytes, chunk: bytes, pause_s: float = 0.0) -> Behaviour:
    """Say `start`, then `chunk` again and again, until the client has had enough."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        asked(connection)
        connection.sendall(start)
        while not over.wait(pause_s):
            connection.sendall(chunk)

    return behave


def silent(connection: socket.socket, over: threading.Event) -> None:
    """Take the connection and never say a word."""
    over.wait(30)


def closes(connection: socket.socket, _: threading.Event) -> None:
    """Hear the request out and close, as if that were an answer."""
    asked(connection)


def resets(connection: socket.socket, _: threading.Event) -> None:
    """Hear the request out and reset the connection."""
    asked(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def never_accepts() -> Iterator[int]:
    """A listening port whose backlog is full: connecting to it takes for ever."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        for _ in range(8):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield int(address[1])
