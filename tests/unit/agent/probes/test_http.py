"""An HTTP probe against servers that misbehave: it says what is so, in time, and leaves nothing.

That nothing stays behind, neither connection nor thread, is tests/conftest.py's to see.
"""

import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from msgspec import structs

from secretary.agent.ports import Outcome, ProbeResult
from secretary.agent.probes import build
from secretary.core.errors import SettingsError
from secretary.core.settings import ProbeSettings, StatusRange
from tests import hostile as h
from tests.apps import free_port
from tests.hostile import hostile

TIMEOUT_S = 0.4
LATE_S = 2.0
"""How late an answer may come on a busy machine; against these servers, never would be usual."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


def probe(port: int, **settings: Any) -> ProbeResult:
    """Probe once, and hold the result to what every result promises."""
    given = {"target": f"http://127.0.0.1:{port}/healthz", "timeout_s": TIMEOUT_S, **settings}
    result = build(ProbeSettings(**given)).run()
    assert result.detail.isprintable()
    assert len(result.detail) <= 200
    assert result.duration_s < given["timeout_s"] + LATE_S
    return result


def outcome(behaviour: h.Behaviour, **settings: Any) -> tuple[Outcome, str]:
    with hostile(behaviour) as port:
        result = probe(port, **settings)
    return result.outcome, result.detail


def test_a_good_answer_passes() -> None:
    passed, detail = outcome(h.says(OK))
    assert passed is Outcome.PASS
    assert detail == "status 200"


@pytest.mark.parametrize("status", [200, 204, 301, 302, 304, 399])
def test_a_status_that_is_expected_passes_redirects_included(status: int) -> None:
    answer = b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" % status
    assert outcome(h.says(answer))[0] is Outcome.PASS


def test_a_status_that_is_not_expected_is_a_doubt() -> None:
    answer = b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
    assert outcome(h.says(answer)) == (Outcome.DOUBT, "status 500, want 200-399")
    wanted = (StatusRange(200, 299), StatusRange(500, 500))
    assert outcome(h.says(answer), expect_status=wanted)[0] is Outcome.PASS


def test_nobody_there_is_a_refusal() -> None:
    result = probe(free_port())
    assert (result.outcome, result.detail) == (Outcome.REFUSED, "refused")


def test_a_reset_is_a_refusal() -> None:
    assert outcome(h.resets) == (Outcome.REFUSED, "reset waiting for the answer")


def test_a_clean_close_without_an_answer_is_a_doubt() -> None:
    assert outcome(h.closes) == (Outcome.DOUBT, "closed without an answer")


HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"


@pytest.mark.parametrize(
    ("behaviour", "phase"),
    [
        (h.silent, "waiting for the answer"),
        (h.repeats(HEAD, b"X", h.DRIP_S), "waiting for the answer"),
        (h.repeats(b"", b"H", h.DRIP_S), "waiting for the answer"),
        (h.repeats(ENDLESS, b"x", h.DRIP_S), "reading the body"),
        (h.repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x", h.DRIP_S), "reading the body"),
        (h.repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001), "waiting for the answer"),
        (
            h.repeats(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", h.DRIP_S
            ),
            "reading the body",
        ),
    ],
    ids=["silent", "head", "status line", "body", "body without length", "continues", "chunks"],
)
def test_the_deadline_ends_a_server_that_would_go_on_for_ever(
    behaviour: h.Behaviour, phase: str
) -> None:
    assert outcome(behaviour) == (Outcome.DOUBT, f"timed out after {TIMEOUT_S} s {phase}")


def test_the_deadline_ends_a_connection_that_nobody_accepts() -> None:
    with h.never_accepts() as port:
        result = probe(port)
    assert (result.outcome, result.detail) == (
        Outcome.DOUBT,
        f"timed out after {TIMEOUT_S} s connecting",
    )


def test_a_body_without_end_is_read_to_its_limit_and_judged() -> None:
    flood = h.repeats(ENDLESS, b"x" * 65536)
    assert outcome(flood, timeout_s=10.0)[0] is Outcome.PASS
    told = outcome(flood, timeout_s=10.0, expect_body="y")
    assert told == (Outcome.DOUBT, "the body does not match /y/")


def test_a_chunk_of_a_size_below_nothing_is_no_way_around_the_limit() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"
    sent = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        h.asked(connection)
        connection.sendall(chunked)
        while not over.is_set():
            connection.sendall(b"x" * 65536)
            sent.append(65536)

    doubted, detail = outcome(behave, timeout_s=5.0)
    assert doubted is Outcome.DOUBT
    assert "chunk" in detail
    assert sum(sent) < 50_000_000


def test_what_is_expected_of_a_body_is_looked_for_in_its_first_64_kib() -> None:
    def answer(text: bytes) -> h.Behaviour:
        return h.says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

    edge = b"x" * (64 * 1024 - 2)
    assert outcome(answer(edge + b"ok"), expect_body="ok")[0] is Outcome.PASS
    assert outcome(answer(edge + b"xok"), expect_body="ok")[0] is Outcome.DOUBT


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", "closed before the end of the body"),
        (b"\x00\xff\xfe\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 9999999 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 " + b"9" * 100_000 + b"\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000_000 + b"\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
    ],
    ids=["short", "binary", "status", "long status", "10 MB head", "heads", "chunk", "ssh"],
)
def test_a_broken_answer_is_a_doubt(answer: bytes, words: str) -> None:
    doubted, detail = outcome(h.says(answer), timeout_s=5.0)
    assert doubted is Outcome.DOUBT
    assert words in detail


def test_a_length_that_is_no_length_is_not_believed() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok"
    assert outcome(h.says(answer))[0] in (Outcome.PASS, Outcome.DOUBT)


def test_lengths_that_contradict_each_other_are_not_believed_either() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok"
    assert outcome(h.says(answer), expect_body="^ok$") == (Outcome.PASS, "status 200")


def test_a_malformed_header_is_no_news_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    answer = b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok"
    assert outcome(h.says(answer))[0] is Outcome.PASS
    assert caplog.records == []


def test_invalid_utf_8_is_no_trouble() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\xff\xfeok\xff\xfe"
    assert outcome(h.says(answer), expect_body="ok")[0] is Outcome.PASS


def test_a_continue_before_the_answer_is_passed_over() -> None:
    assert outcome(h.says(b"HTTP/1.1 100 Continue\r\n\r\n" + OK))[0] is Outcome.PASS


def test_what_the_app_says_cannot_forge_a_line_of_the_log() -> None:
    _, detail = outcome(h.says(b"HTTP/1.1 2\x1b[31m0\x00 \rforged\r\n\r\n"))
    assert "\x1b" not in detail


def test_the_request_is_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", "/dev/null")
    heads = []

    def behave(connection: socket.socket, _: threading.Event) -> None:
        heads.append(h.asked(connection))
        connection.sendall(OK)

    with hostile(behave) as port:
        result = probe(
            port, method="OPTIONS", headers=(("Host", "shop.example"), ("X-Token", "a b"))
        )
    assert result.outcome is Outcome.PASS
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "OPTIONS /healthz HTTP/1.1"
    assert [line for line in lines if line.lower().startswith("host")] == ["Host: shop.example"]
    assert "X-Token: a b" in lines
    assert "Connection: close" in lines


def test_a_head_request_reads_no_body() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    assert outcome(h.says(answer), method="HEAD")[0] is Outcome.PASS


def test_a_host_without_descriptors_to_spare_cannot_probe() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with hostile(h.says(OK)) as port:
        asking = build(ProbeSettings(target=f"http://127.0.0.1:{port}/"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            result = asking.run()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (result.outcome, result.detail) == (
        Outcome.ERROR,
        "Too many open files on this host",
    )


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def cacert(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@contextmanager
def secure(
    authority: trustme.CA,
    name: str = "127.0.0.1",
    behaviour: h.Behaviour | None = None,
    *,
    mutual: bool = False,
) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    with hostile(behaviour or h.says(OK), context) as port:
        yield port


def tls_probe(port: int, **settings: Any) -> ProbeResult:
    return probe(port, **{"target": f"https://127.0.0.1:{port}/", "timeout_s": 2.0, **settings})


def test_a_certificate_of_the_given_authority_is_trusted(
    authority: trustme.CA, cacert: str
) -> None:
    with secure(authority) as port:
        assert tls_probe(port, cacert=cacert).outcome is Outcome.PASS


def test_a_certificate_of_nobody_we_know_is_a_doubt(authority: trustme.CA) -> None:
    with secure(authority) as port:
        result = tls_probe(port)
    assert result.outcome is Outcome.DOUBT
    assert result.detail.startswith("TLS: unable to get local issuer certificate")


def test_a_certificate_for_another_name_is_a_doubt_unless_that_name_is_given(
    authority: trustme.CA, cacert: str
) -> None:
    with secure(authority, "shop.example") as port:
        assert tls_probe(port, cacert=cacert).outcome is Outcome.DOUBT
        named = tls_probe(port, cacert=cacert, server_name="shop.example")
        assert named.outcome is Outcome.PASS


def test_insecure_asks_for_no_certificate_worth_trusting(authority: trustme.CA) -> None:
    with secure(authority, "shop.example") as port:
        assert tls_probe(port, insecure=True).outcome is Outcome.PASS


def test_a_client_certificate_is_shown(authority: trustme.CA, cacert: str, tmp_path: Path) -> None:
    client = authority.issue_cert("prober")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    client.cert_chain_pems[0].write_to_path(str(cert))
    client.private_key_pem.write_to_path(str(key))
    with secure(authority, mutual=True) as port:
        assert tls_probe(port, cacert=cacert).outcome is not Outcome.PASS
        shown = tls_probe(port, cacert=cacert, cert=str(cert), key=str(key))
        assert shown.outcome is Outcome.PASS


def test_the_deadline_holds_under_tls_too(authority: trustme.CA, cacert: str) -> None:
    drip = h.repeats(ENDLESS, b"x", h.DRIP_S)
    with secure(authority, behaviour=drip) as port:
        result = tls_probe(port, cacert=cacert, timeout_s=TIMEOUT_S)
    assert result.outcome is Outcome.DOUBT
    assert "reading the body" in result.detail


def test_the_deadline_holds_for_a_reader_that_drips_under_tls(
    authority: trustme.CA, cacert: str
) -> None:
    def sip(connection: socket.socket, over: threading.Event) -> None:
        while not over.wait(h.DRIP_S):
            for _ in range(8):  # fast enough for each write to end in time, were it alone
                connection.recv(16384)

    with secure(authority, behaviour=sip) as port:
        result = tls_probe(
            port, cacert=cacert, timeout_s=TIMEOUT_S, headers=(("X-Long", "x" * 16_000_000),)
        )
    assert (result.outcome, result.detail) == (
        Outcome.DOUBT,
        f"timed out after {TIMEOUT_S} s waiting for the answer",
    )


def test_a_handshake_without_end_is_ended() -> None:
    with hostile(h.silent) as port:
        result = tls_probe(port, timeout_s=TIMEOUT_S)
    assert (result.outcome, result.detail) == (
        Outcome.DOUBT,
        f"timed out after {TIMEOUT_S} s in the TLS handshake",
    )


def test_a_server_without_tls_is_a_doubt() -> None:
    with hostile(lambda connection, _: connection.sendall(OK)) as port:
        result = tls_probe(port)
    assert result.outcome is Outcome.DOUBT
    assert result.detail.startswith("TLS: ")


def test_an_encrypted_key_is_refused_and_no_password_asked_for(
    authority: trustme.CA, tmp_path: Path
) -> None:
    client = authority.issue_cert("prober")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    client.cert_chain_pems[0].write_to_path(str(cert))
    locked = serialization.load_pem_private_key(
        client.private_key_pem.bytes(), password=None
    ).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hush"),
    )
    key.write_bytes(locked)
    with pytest.raises(SettingsError, match="the key is encrypted"):
        build(ProbeSettings(target="https://127.0.0.1/", cert=str(cert), key=str(key)))


def test_a_key_that_is_missing_is_refused_by_its_own_name(
    authority: trustme.CA, tmp_path: Path
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "missing.pem"
    authority.issue_cert("prober").cert_chain_pems[0].write_to_path(str(cert))
    with pytest.raises(SettingsError, match=f"--probe-key: {key}: No such file"):
        build(ProbeSettings(target="https://127.0.0.1/", cert=str(cert), key=str(key)))


def test_a_server_name_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"--probe-server-name: \.shop: "):
        build(ProbeSettings(target="https://127.0.0.1/", server_name=".shop"))


@pytest.mark.parametrize("option", ["cacert", "cert"])
def test_a_file_that_is_no_certificate_is_refused_by_name(option: str, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path / "rubbish.pem"):
        if path.name == "rubbish.pem":
            path.write_text("rubbish")
        with pytest.raises(SettingsError, match=f"--probe-{option}: {path}: "):
            build(
                structs.replace(ProbeSettings(target="https://127.0.0.1/"), **{option: str(path)})
            )
