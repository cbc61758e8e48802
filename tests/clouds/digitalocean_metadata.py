"""What DigitalOcean tells a droplet about itself, on this host: its number and its address."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.clouds.digitalocean_account import Account

_V1: Final = "/metadata/v1"
_RESERVED: Final = f"{_V1}/reserved_ip/ipv4"


class DigitalOceanMetadata(ThreadingHTTPServer):
    """Answers whoever asks as that droplet of an account: `droplets` are by their addresses.

    `lag_looks`: so many of the next questions for the address are answered as if it had none;
    `shows`: they are answered as if it had this one.
    `status`: of all answers, and without a body, where it is not 200; `hangs`: there are none.
    """

    daemon_threads = False

    def __init__(self, account: Account, droplets: Mapping[str, int], host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.account = account
        self.droplets = droplets
        self.lag_looks = 0
        self.shows: str | None = None
        self.status = 200
        self.hangs = False
        self.asked: list[str] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def told(self, droplet_id: int, path: str) -> str | None:
        """Return what is to be had under `path`."""
        if path == f"{_V1}/id":
            return str(droplet_id)
        if path not in (f"{_RESERVED}/active", f"{_RESERVED}/ip_address"):
            return None
        with self.account.lock:
            held = self.account.reserved.of_droplet(droplet_id)
            ip = self.shows or (held.ip if held else "")
            if self.lag_looks > 0:
                ip, self.lag_looks = "", self.lag_looks - 1
        return ip if path.endswith("/ip_address") else "true" if ip else "false"

    def handle_error(self, *_: object) -> None:
        """A client that has gone had its deadline."""


@contextmanager
def digitalocean_metadata(
    account: Account, droplets: Mapping[str, int], host: str = "127.0.0.1"
) -> Iterator[DigitalOceanMetadata]:
    with DigitalOceanMetadata(account, droplets, host) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DigitalOceanMetadata

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.close_connection = True
        if self.server.hangs:
            self.server.over.wait()
            return
        told = self.server.told(self.server.droplets[self.client_address[0]], self.path)
        status = 404 if told is None else self.server.status
        body = (told or "").encode() if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
