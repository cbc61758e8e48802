"""An app for containers: small, so that fifty of them fit on a machine, and as ill as it is told.

    python3 boxed_app.py

It serves HTTP on $PORT (8080), at $IP alone if that is given. `/` answers with the container's host
name. `/fail` makes it sick: it answers 503, and the file /tmp/sick is there for a HEALTHCHECK to
see; `/recover` makes it well. `/eat` takes memory until somebody stops it. SIGTERM ends it at once,
or with $STUBBORN not at all.
"""

import os
import signal
import socket
from pathlib import Path

SICK = Path("/tmp/sick")


def main() -> None:
    stubborn = os.environ.get("STUBBORN")
    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else lambda *_: os._exit(0))
    at = os.environ.get("IP", ""), int(os.environ.get("PORT", "8080"))
    with socket.create_server(at, backlog=64) as server:
        while True:
            client, _ = server.accept()
            with client:
                client.settimeout(1)
                try:
                    client.sendall(answer(client.recv(4096)))
                except OSError:  # it went away
                    continue


def answer(request: bytes) -> bytes:
    words = request.split(b" ", 2)
    path = words[1] if len(words) > 1 else b""
    if path == b"/fail":
        SICK.touch()
    elif path == b"/recover":
        SICK.unlink(missing_ok=True)
    elif path == b"/eat":
        eaten = []
        while True:
            eaten.append(bytearray(1 << 20))
    elif SICK.exists():
        return b"HTTP/1.1 503 Sick\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    body = f"{socket.gethostname()}\n".encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    ) + body


if __name__ == "__main__":
    main()
