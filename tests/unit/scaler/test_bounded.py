"""Sessions whose calls end in time: whatever a server does, and on a connection of their own."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme

from secretary.scaler.providers import bounded
from tests import hostile as h
from tests.hostile import hostile

TIMEOUT_S = 0.4
LATE_S = 2.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
KEPT = HEAD + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with bounded.session() as session:
        yield session


def get(session: requests.Session, url: str) -> requests.Response:
    """Ask, and hold that it has taken no longer than it may."""
    begun = time.monotonic()
    try:
        return session.get(url, timeout=TIMEOUT_S)
    finally:
        assert time.monotonic() - begun < 2 * TIMEOUT_S + LATE_S


@pytest.mark.parametrize(
    "behaviour",
    [
        h.silent,
        h.closes,
        h.resets,
        h.says(b"SSH-2.0-OpenSSH_9.2\r\n"),
        h.says(HEAD + b"Content-Length: 500\r\n\r\n{"),
        h.repeats(b"", b"H", h.DRIP_S),
        h.repeats(HEAD, b"X: y\r\n", h.DRIP_S),
        h.repeats(HEAD + b"\r\n", b" ", h.DRIP_S),
        h.repeats(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", h.DRIP_S),
        h.repeats(HEAD, b"X: " + b"y" * 60000 + b"\r\n"),
    ],
    ids=[
        "silent", "closes", "resets", "another protocol", "cut short", "drips a status",
        "drips headers", "drips a body", "drips chunks", "endless headers",
    ],
)  # fmt: skip
def test_a_server_that_misbehaves_is_an_error_in_time(
    session: requests.Session, behaviour: h.Behaviour
) -> None:
    with hostile(behaviour) as port, pytest.raises(requests.RequestException):
        get(session, f"http://127.0.0.1:{port}/")


def test_an_answer_without_end_is_an_error_before_it_is_all_of_the_memory(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_OF_AN_ANSWER", 100_000)
    endless = h.repeats(HEAD + b"\r\n", b" " * 65536)
    with hostile(endless) as port, pytest.raises(requests.RequestException, match="does not end"):
        session.get(f"http://127.0.0.1:{port}/", timeout=60)


def test_a_server_that_nobody_reaches_is_an_error_in_time(session: requests.Session) -> None:
    with h.never_accepts() as port, pytest.raises(requests.ConnectTimeout):
        get(session, f"http://127.0.0.1:{port}/")


def test_no_connection_is_used_twice_whatever_the_server_offers(session: requests.Session) -> None:
    connections = []

    def behave(connection: socket.socket, _: threading.Event) -> None:
        connections.append(connection)
        head = h.asked(connection)
        assert b"Connection: close" in head
        connection.sendall(KEPT)
        assert connection.recv(1) == b"", "the client closes"

    with hostile(behave) as port:
        for _ in range(3):
            assert get(session, f"http://127.0.0.1:{port}/").json() == {}
    assert len(connections) == 3


def test_cookies_are_not_kept(session: requests.Session) -> None:
    heads = []

    def behave(connection: socket.socket, _: threading.Event) -> None:
        heads.append(h.asked(connection))
        connection.sendall(HEAD + b"Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}")

    with hostile(behave) as port:
        for _ in range(2):
            get(session, f"http://127.0.0.1:{port}/")
    assert len(heads) == 2
    assert not any(b"Cookie" in head for head in heads)


def test_a_proxy_of_the_environment_is_used_and_bounded(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        heads.append(h.asked(connection))
        connection.sendall(HEAD + b"\r\n")
        while not over.wait(h.DRIP_S):
            connection.sendall(b" ")

    with hostile(behave) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(requests.RequestException):
            get(session, "http://cloud.invalid/v2")
    assert heads[0].startswith(b"GET http://cloud.invalid/v2 ")


def test_tls_is_verified_and_bounded(
    session: requests.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(trust)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with hostile(h.says(KEPT), trust) as port, pytest.raises(requests.exceptions.SSLError):
        get(session, f"https://127.0.0.1:{port}/")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with hostile(h.says(KEPT), trust) as port:
        assert get(session, f"https://127.0.0.1:{port}/").json() == {}
    dripping = h.repeats(HEAD + b"\r\n", b" ", h.DRIP_S)
    with hostile(dripping, trust) as port, pytest.raises(requests.RequestException):
        get(session, f"https://127.0.0.1:{port}/")


def test_a_server_that_never_finishes_the_handshake_is_an_error_in_time(
    session: requests.Session,
) -> None:
    with hostile(h.silent) as port, pytest.raises(requests.RequestException):
        get(session, f"https://127.0.0.1:{port}/")
