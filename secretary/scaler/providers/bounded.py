"""Sessions of requests whose calls end in time, whatever comes back.

The libraries bound each piece of an answer; here the whole of it is bounded, in time and in
size. Each call has a connection of its own: one that has been idle may be closed by the other
side just as a request is sent, and nobody can tell then whether it was carried out.
"""

import http.client
import io
import socket
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

import secretary

MOST_OF_AN_ANSWER: Final = 16 * 1024 * 1024
"""Bytes: 200 machines are less than one MB."""


def session() -> requests.Session:
    """Return one that repeats nothing and keeps no connection and no cookie.

    Proxies and REQUESTS_CA_BUNDLE are taken from the environment.
    """
    made = requests.Session()
    made.headers = requests.structures.CaseInsensitiveDict(
        {
            "User-Agent": f"secretary/{secretary.__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
    )
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    for scheme in ("https://", "http://"):
        made.mount(scheme, BoundedAdapter())
    return made


class BoundedAdapter(HTTPAdapter):
    """The timeout for reading is that of the whole answer."""

    def init_poolmanager(self, *how: Any, **more: Any) -> None:
        super().init_poolmanager(*how, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *how: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(*how, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *how: Any, **more: Any) -> None:
        super().__init__(_Socket(sock), *how, **more)  # type: ignore[arg-type]


class _Socket:
    """As much of a socket as an answer is read from."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _: str) -> io.BufferedReader:
        # What a socket does in its own makefile, which counts who reads.
        self._sock._io_refs += 1  # type: ignore[attr-defined]
        return io.BufferedReader(_Reader(self._sock))


class _Reader(socket.SocketIO):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, "r")
        self._from = sock
        timeout_s = sock.gettimeout()
        self._end = None if timeout_s is None else time.monotonic() + timeout_s
        self._left = MOST_OF_AN_ANSWER

    def readinto(self, into: Any) -> int | None:
        if self._end is not None:
            left_s = self._end - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the answer did not end in time")
            self._from.settimeout(left_s)
        size = super().readinto(into)
        self._left -= size or 0
        if self._left < 0:
            raise OSError("the answer does not end")
        return size


class _Plain(HTTPConnection):
    response_class = _Answer


class _Secure(HTTPSConnection):
    response_class = _Answer


class _ForOne(HTTPConnectionPool):
    def _put_conn(self, conn: Any) -> None:
        """End it: whether the other side says that it will close is its own affair."""
        if conn is not None:
            conn.close()
        super()._put_conn(None)


class _PlainPool(_ForOne):
    ConnectionCls = _Plain


class _SecurePool(_ForOne, HTTPSConnectionPool):
    ConnectionCls = _Secure


_POOLS: Final = {"http": _PlainPool, "https": _SecurePool}
