"""The status server answers, whatever its clients do."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from secretary.core.errors import SettingsError
from secretary.core.metric import Family, Kind, Sample
from secretary.core.pages import Verdict
from secretary.core.settings import HostPort
from secretary.runtime import listener, status
from secretary.runtime.listener import PLACES
from secretary.runtime.status import Answer, StatusServer, ask
from tests.waiting import wait_for

ANY_PORT = HostPort("127.0.0.1", 0)


class Told:
    """Pages that say what a test has put there."""

    def __init__(self) -> None:
        self.readiness = Verdict(True, "1 of 1 registered")
        self.page: object = {}
        self.error: Exception | None = None

    def live(self) -> Verdict:
        return Verdict(True, "the loops turn")

    def ready(self) -> Verdict:
        return self.readiness

    def status(self) -> object:
        if self.error:
            raise self.error
        return self.page

    def metrics(self) -> Sequence[Family]:
        return [Family("up", Kind.GAUGE, "Up.", [Sample((("service", "web"),), 1)])]


@pytest.fixture
def pages() -> Told:
    return Told()


@pytest.fixture
def server(pages: Told) -> Iterator[StatusServer]:
    server = StatusServer(ANY_PORT, pages)
    server.start()
    yield server
    server.stop()


def get(
    server: StatusServer, page: str, method: str = "GET"
) -> tuple[int, http.client.HTTPMessage, str]:
    address = server.address
    connection = http.client.HTTPConnection(address.host, address.port, timeout=10)
    with closing(connection):
        connection.request(method, page)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()


def connect(server: StatusServer) -> socket.socket:
    return socket.create_connection((server.address.host, server.address.port), timeout=10)


def raw(server: StatusServer, request: bytes) -> bytes:
    with connect(server) as client:
        client.sendall(request)
        return client.makefile("rb").read()


def test_live_and_ready_say_yes_or_no_and_why(server: StatusServer, pages: Told) -> None:
    assert get(server, "/livez")[::2] == (200, "the loops turn\n")
    assert get(server, "/readyz")[::2] == (200, "1 of 1 registered\n")
    pages.readiness = Verdict(False, "0 of 1 registered")
    assert get(server, "/readyz?verbose")[::2] == (503, "0 of 1 registered\n")


def test_the_status_is_json_in_the_order_given(server: StatusServer, pages: Told) -> None:
    pages.page = {"name": "café", "age": None, "addr": ["10.0.0.5"]}
    code, headers, text = get(server, "/status")
    assert (code, headers["Content-Type"]) == (200, "application/json")
    assert text == ('{\n  "name": "café",\n  "age": null,\n  "addr": [\n    "10.0.0.5"\n  ]\n}\n')


def test_a_byte_that_is_no_text_does_not_break_the_status(
    server: StatusServer, pages: Told
) -> None:
    pages.page = {"probe": "exec:\udcff"}
    assert json.loads(get(server, "/status")[2]) == pages.page


def test_the_metrics_are_what_prometheus_reads(server: StatusServer) -> None:
    code, headers, text = get(server, "/metrics")
    assert code == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert found["up"].samples[0][:3] == ("up", {"service": "web"}, 1)


def test_another_page_is_not_found_and_the_answer_lists_those_there_are(
    server: StatusServer,
) -> None:
    code, _, text = get(server, "/")
    assert code == 404
    assert text == "no such page; there are /livez /readyz /status /metrics\n"


def test_head_is_get_without_its_body(server: StatusServer) -> None:
    head = raw(server, b"HEAD /livez HTTP/1.0\r\n\r\n")
    assert head + b"the loops turn\n" == raw(server, b"GET /livez HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_nothing_can_be_changed(server: StatusServer, method: str) -> None:
    code, headers, text = get(server, "/livez", method)
    assert (code, headers["Allow"], text) == (405, "GET, HEAD", "Method Not Allowed\n")


@pytest.mark.parametrize("page", ["/livez", "/status", "/metrics", "/none"])
def test_no_answer_is_kept_and_none_tells_what_serves_it(server: StatusServer, page: str) -> None:
    _, headers, _ = get(server, page)
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


def test_a_page_that_fails_tells_the_log_why_and_the_client_only_that(
    server: StatusServer, pages: Told, caplog: pytest.LogCaptureFixture
) -> None:
    pages.error = LookupError("the password is hunter2")
    assert get(server, "/status")[::2] == (500, "LookupError\n")
    assert "hunter2" in caplog.text
    assert get(server, "/livez")[0] == 200


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"\x16\x03\x01\x00\x00\n\n", b"400"),
        (b"GET /livez HTTP/9.9\r\n\r\n", b"505"),
        (b"GET /livez HTTP/1.0\r\nX: " + b"x" * 20_000, b"200"),
        (b"GET /livez HTTP/1.0\r\n" + b"X: x\r\n" * 200 + b"\r\n", b"431"),
    ],
)
def test_nonsense_is_answered_and_nothing_is_printed(
    server: StatusServer, request_: bytes, code: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert code in raw(server, request_).splitlines()[0]
    assert capfd.readouterr() == ("", "")


def test_no_bytes_whatever_make_it_fail(caplog: pytest.LogCaptureFixture) -> None:
    """Each conversation ends, and none with an error of ours."""
    server = StatusServer(ANY_PORT, Told())
    server.start()

    @given(
        st.one_of(
            st.binary(),
            st.builds(b"GET %b HTTP/1.1\r\n\r\n".__mod__, st.binary()),
            st.sampled_from([b"GET //[ HTTP/1.0\r\n\r\n", b"GET http://[x/ HTTP/1.1\r\n\r\n"]),
        )
    )
    def talk(request: bytes) -> None:
        with connect(server) as client, contextlib.suppress(ConnectionResetError):
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            client.makefile("rb").read()

    try:
        talk()
    finally:
        server.stop()
    assert caplog.records == []


@pytest.mark.parametrize("silent", [1, PLACES, PLACES * 2])
def test_silent_clients_do_not_hold_up_the_others(server: StatusServer, silent: int) -> None:
    """Even when they have taken every place: the longest silent one makes room."""
    with ExitStack() as clients:
        for _ in range(silent):
            clients.enter_context(connect(server))
        assert ask(server.address, "/livez", timeout_s=4) == Answer(200, "the loops turn")


def test_a_client_that_says_its_request_byte_by_byte_is_hung_up_on(
    server: StatusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "_CLIENT_TIMEOUT_S", 0.3)
    with connect(server) as client:
        client.setblocking(False)

        def hung_up() -> bool:
            try:
                client.send(b"G")
                return client.recv(1) == b""
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        wait_for(hung_up, what="the server hangs up")


def test_who_is_not_slow_keeps_its_place_though_others_want_it(
    server: StatusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_UNDISTURBED_S", 60.0)
    with ExitStack() as clients:
        first, *_, newcomer = [clients.enter_context(connect(server)) for _ in range(PLACES + 1)]
        first.settimeout(0.2)
        with pytest.raises(TimeoutError):
            first.recv(1)
        first.settimeout(10)
        for client in (newcomer, first):
            client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert first.recv(12) == newcomer.recv(12) == b"HTTP/1.0 200"


def test_fifty_clients_at_once_are_all_answered(server: StatusServer) -> None:
    start = threading.Barrier(50)

    def client(_: int) -> int:
        start.wait(10)
        return get(server, "/readyz")[0]

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(client, range(50))) == [200] * 50


def test_stopping_closes_the_port_and_the_connections_and_may_be_repeated(
    server: StatusServer,
) -> None:
    with connect(server) as silent:
        get(server, "/livez")  # so the silent one, who came before, has its thread
        server.stop()
        server.stop()
        assert not [t for t in threading.enumerate() if t.name.startswith("listener")]
        assert silent.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_a_server_that_never_started_can_be_stopped(pages: Told) -> None:
    StatusServer(ANY_PORT, pages).stop()


def test_a_restart_has_its_port_at_once(server: StatusServer, pages: Told) -> None:
    """The answered client's connection is still in TIME_WAIT."""
    get(server, "/livez")
    server.stop()
    second = StatusServer(server.address, pages)
    second.start()
    try:
        assert second.address == server.address
        assert get(second, "/livez")[0] == 200
    finally:
        second.stop()


def test_a_port_in_use_is_named_together_with_the_way_out(
    server: StatusServer, pages: Told
) -> None:
    with pytest.raises(SettingsError) as caught:
        StatusServer(server.address, pages).start()
    assert str(caught.value) == (
        f"--status {server.address}: cannot listen there: Address already in use; "
        "give another address, or --status off"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "x" * 64, "::ffff:192.0.2.1"])
def test_an_address_that_is_not_ours_is_refused(pages: Told, host: str) -> None:
    with pytest.raises(SettingsError, match="--status off") as caught:
        StatusServer(HostPort(host, 0), pages).start()
    assert str(HostPort(host, 0)) in str(caught.value)
    assert "None" not in str(caught.value)


@pytest.mark.parametrize(
    ("bound", "asked"), [("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1"), ("0.0.0.0", "::")]
)
def test_ipv6_and_every_interface_are_served(pages: Told, bound: str, asked: str) -> None:
    """`::` takes IPv4 clients too; an address for all interfaces is asked on the loopback."""
    server = StatusServer(HostPort(bound, 0), pages)
    server.start()
    try:
        port = server.address.port
        assert server.address == HostPort(bound, port)
        assert ask(HostPort(bound, port), "/livez", 10) == Answer(200, "the loops turn")
        if asked != "::":
            assert ask(HostPort(asked, port), "/livez", 10).status == 200
    finally:
        server.stop()


def test_who_asks_hears_a_no_with_its_reason(server: StatusServer, pages: Told) -> None:
    pages.readiness = Verdict(False, "0 of 1 registered")
    assert ask(server.address, "/readyz", 10) == Answer(503, "0 of 1 registered")


def test_who_asks_where_nobody_listens_hears_why(server: StatusServer) -> None:
    server.stop()
    answer = ask(server.address, "/livez", 10)
    assert answer.status is None
    assert answer.text.startswith(f"no answer from {server.address}: ")
    assert "Connection refused" in answer.text


def test_who_asks_something_else_than_a_status_server_hears_why() -> None:
    """It accepts and says nothing, then something that is not HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = HostPort("127.0.0.1", listening.getsockname()[1])
        assert ask(address, "/livez", 0.1) == Answer(None, f"no answer from {address}: timed out")
        listening.accept()[0].close()

        def answer() -> None:
            with listening.accept()[0] as client:
                client.sendall(b"SSH-2.0-x\r\n")
                client.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        assert ask(address, "/livez", 10).status is None
        thread.join()
