"""What a load is made of, and what is told when none can be: cpu, Prometheus, and any page."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator

import pytest
import trustme

from secretary.core.errors import CloudAway, MeterError, SettingsError
from secretary.core.scaling import Metric
from secretary.scaler.meters import open_meter
from secretary.scaler.ports import Meter
from secretary.scaler.samples import Sample
from tests import hostile as h
from tests.fakes.cloud import FakeCloud
from tests.hostile import hostile
from tests.unit.scaler.machines import group, machine, measured

TWO = (machine(1, "10.0.0.1"), machine(2, "10.0.0.2"))
QUICK_S = 0.3
SLOW_S = 3.0
"""A machine that has more to do than our tests is slow; what would never end takes longer yet."""


def answer(body: str, status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\n{more}\r\n"
    return head.encode() + body.encode()


def success(kind: str, result: str) -> bytes:
    return answer(f'{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}')


def asked(behaviour: h.Behaviour, timeout_s: float = 5.0, path: str = "") -> Sample:
    """What the sum of two machines is, by a Prometheus that behaves so."""
    with hostile(behaviour) as port:
        source = measured(Metric.PROMETHEUS, f"http://127.0.0.1:{port}{path}", "sum(load)")
        return open_meter(source, FakeCloud().provider("web"), timeout_s).measure(TWO, 7)


def refused(behaviour: h.Behaviour, timeout_s: float = 5.0, path: str = "") -> str:
    """What is said of it, without its address."""
    with pytest.raises(MeterError) as caught:
        asked(behaviour, timeout_s, path)
    where, _, said = str(caught.value).partition("/api/v1/query: ")
    assert where.startswith("http://127.0.0.1:")
    assert said.isprintable()
    return said


def test_a_group_that_says_nothing_is_measured_by_its_cpu() -> None:
    cloud = FakeCloud()
    ids = [cloud.make(name, "secretary-web") for name in ("web-1", "web-2", "web-3")]
    cloud.load = {"web-1": 80.0, "web-2": 40.0}
    machines = [machine(n, provider_id=id_) for n, id_ in enumerate(ids, 1)]
    for policy in (group().policy, None):
        meter = open_meter(group(policy=policy), cloud.provider("web"))
        sample = meter.measure(machines, 7)
        assert sample == Sample(7, (80.0, 40.0), 3)
        assert sample.load == 180.0


def test_machines_that_the_provider_knows_nothing_of_are_told() -> None:
    meter = open_meter(group(), FakeCloud().provider("web"))
    with pytest.raises(MeterError, match="knows the cpu of none of 2 machines yet"):
        meter.measure(TWO, 7)


def test_a_provider_that_is_away_is_nobodys_load() -> None:
    cloud = FakeCloud()
    cloud.is_away = True
    with pytest.raises(CloudAway):
        open_meter(group(), cloud.provider("web")).measure(TWO, 7)


def test_without_machines_there_is_no_load() -> None:
    cloud = FakeCloud()
    assert open_meter(group(), cloud.provider("web")).measure((), 7).load is None
    assert not cloud.calls


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("scalar", '[1795275765.978,"42.5"]'),
        ("vector", '[{"metric":{"job":"web"},"value":[1795275766.001,"42.5"]}]'),
    ],
)
def test_one_number_of_prometheus_is_the_load_of_all(kind: str, result: str) -> None:
    sample = asked(h.says(success(kind, result)))
    assert sample == Sample(7, (21.25, 21.25), 2)


def test_the_query_is_asked_as_it_is_written_below_the_base_url() -> None:
    heads: list[bytes] = []

    def behave(connection: socket.socket, _: object) -> None:
        heads.append(h.asked(connection))
        connection.sendall(success("scalar", '[1,"4"]'))

    with hostile(behave) as port:
        query = 'sum(rate(http_requests_total{job="a b"}[1m])) * 100'
        source = measured(Metric.PROMETHEUS, f"http://127.0.0.1:{port}/prometheus/", query)
        open_meter(source, FakeCloud().provider("web")).measure(TWO, 7)
    line, *headers = heads[0].decode().split("\r\n")
    assert line == (
        "GET /prometheus/api/v1/query?query=sum%28rate%28http_requests_total%7Bjob%3D%22a+b%22%7D"
        "%5B1m%5D%29%29+%2A+100 HTTP/1.1"
    )
    assert f"Host: 127.0.0.1:{port}" in headers


ADVICE = "; let the query answer with one number, such as sum(…)"
UNWANTED = {
    "nothing": (success("vector", "[]"), f"answered with nothing{ADVICE}"),
    "several": (
        success("vector", '[{"metric":{},"value":[1,"4"]},{"metric":{},"value":[1,"5"]}]'),
        f"answered with 2 values{ADVICE}",
    ),
    "matrix": (success("matrix", "[]"), f"answered with a matrix{ADVICE}"),
    "string": (success("string", '[1,"text"]'), f"answered with a string{ADVICE}"),
    "nan": (
        success("scalar", '[1,"NaN"]'),
        "answered NaN, which is no load: a load is 0 or more",
    ),
    "infinite": (
        success("scalar", '[1,"+Inf"]'),
        "answered +Inf, which is no load: a load is 0 or more",
    ),
    "negative": (
        success("scalar", '[1,"-3"]'),
        "answered -3, which is no load: a load is 0 or more",
    ),
    "wrong query": (
        answer(
            '{"status":"error","errorType":"bad_data","error":"invalid parameter \\"query\\":'
            ' 1:5: parse error: unclosed left parenthesis"}',
            "400 Bad Request",
        ),
        'refused the query: bad_data: invalid parameter "query": 1:5: parse error: unclosed left'
        " parenthesis",
    ),
    "too slow": (
        answer(
            '{"status":"error","errorType":"timeout","error":"query timed out in expression'
            ' evaluation"}',
            "503 Service Unavailable",
        ),
        "refused the query: timeout: query timed out in expression evaluation",
    ),
    "not there": (
        answer("404 page not found\n", "404 Not Found"),
        "answered 404: 404 page not found",
    ),
    "login": (answer("", "401 Unauthorized"), "answered 401"),
    "proxy": (
        answer("<html>\x1b[2J", "503 Service Unavailable"),
        "does not answer as Prometheus does: <html>\\x1b[2J",
    ),
    "empty": (answer(""), "does not answer as Prometheus does: "),
    "no number": (
        success("scalar", '[1,"many"]'),
        "does not answer as Prometheus does: "
        '{"status":"success","data":{"resultType":"scalar","result":[1,"many"]}}',
    ),
    "redirect": (
        answer("", "302 Found", "Location: http://127.0.0.1:1/\r\n"),
        "answered 302; redirects are not followed",
    ),
    "cut off": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        "hung up in the middle of its answer",
    ),
    "not HTTP": (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP: SSH-2.0-OpenSSH"),
    "nothing at all": (b"", "Remote end closed connection without response"),
}


@pytest.mark.parametrize("case", UNWANTED)
def test_whatever_else_prometheus_answers_is_told_in_one_line(case: str) -> None:
    bytes_, said = UNWANTED[case]
    assert refused(h.says(bytes_)) == said


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "behaviour",
    [
        h.silent,
        h.repeats(b"HTTP/1.1", b" ", h.DRIP_S),
        h.repeats(OK, b"X-Header: x\r\n", 10 * h.DRIP_S),
        h.repeats(OK + b"Content-Length: 1000000\r\n\r\n", b"x", h.DRIP_S),
        h.repeats(OK + b"\r\n", b"x", h.DRIP_S),
        h.repeats(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", h.DRIP_S),
    ],
    ids=["silent", "status", "headers", "body", "endless", "chunks"],
)
def test_the_time_is_bounded_whatever_comes(behaviour: h.Behaviour) -> None:
    began_s = time.monotonic()
    assert refused(behaviour, QUICK_S) == f"no answer within {QUICK_S:g} s"
    assert time.monotonic() - began_s < SLOW_S


@pytest.mark.parametrize(
    "head",
    [b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n-1\r\n"],
    ids=["endless", "a chunk of any size"],
)
def test_the_size_is_bounded_whatever_comes(head: bytes) -> None:
    said = refused(h.repeats(OK + head, bytes(1 << 16)), 30)
    assert said == "the answer is longer than 8 MiB"


def test_a_server_that_does_not_take_connections_is_given_up_on() -> None:
    with h.never_accepts() as port:
        source = measured(Metric.PROMETHEUS, f"http://127.0.0.1:{port}", "x")
        meter = open_meter(source, FakeCloud().provider("web"), QUICK_S)
        with pytest.raises(MeterError, match="no answer within"):
            meter.measure(TWO, 7)


def test_one_that_is_not_there_is_named() -> None:
    source = measured(Metric.PROMETHEUS, "http://127.0.0.1:1", "x")
    with pytest.raises(MeterError) as caught:
        open_meter(source, FakeCloud().provider("web")).measure(TWO, 7)
    assert str(caught.value) == "http://127.0.0.1:1/api/v1/query: Connection refused"


def test_a_name_that_can_be_nobodys_is_told() -> None:
    source = measured(Metric.PROMETHEUS, f"http://{'a' * 64}", "x")
    with pytest.raises(MeterError, match="no host can have this name"):
        open_meter(source, FakeCloud().provider("web")).measure(TWO, 7)


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert asked(h.says(success("scalar", '[1,"4"]'))).load == 4


@contextlib.contextmanager
def secure(
    monkeypatch: pytest.MonkeyPatch,
    *,
    trusted: bool,
    behaviour: h.Behaviour,
    timeout_s: float = 5.0,
) -> Iterator[Meter]:
    """A meter of a server on localhost, whose authority the system trusts or not."""
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = (authority if trusted else other).cert_pem
    with bundle.tempfile() as file, hostile(behaviour, context) as port:
        monkeypatch.setenv("SSL_CERT_FILE", file)
        source = measured(Metric.PROMETHEUS, f"https://localhost:{port}", "x")
        yield open_meter(source, FakeCloud().provider("web"), timeout_s)


def test_under_tls_the_systems_authorities_count(monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour = h.says(success("scalar", '[1,"4"]'))
    with secure(monkeypatch, trusted=True, behaviour=behaviour) as meter:
        assert meter.measure(TWO, 7).load == 4


def test_a_server_that_nobody_vouches_for_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour = h.says(success("scalar", '[1,"4"]'))
    with (
        secure(monkeypatch, trusted=False, behaviour=behaviour) as meter,
        pytest.raises(MeterError, match=r"/api/v1/query: TLS: .*certificate"),
    ):
        meter.measure(TWO, 7)


def test_the_time_is_bounded_under_tls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    drip = h.repeats(OK + b"\r\n", b"x", h.DRIP_S)
    with (
        secure(monkeypatch, trusted=True, behaviour=drip, timeout_s=QUICK_S) as meter,
        pytest.raises(MeterError, match="no answer within"),
    ):
        meter.measure(TWO, 7)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("prometheus:9090", "it begins with neither http:// nor https://"),
        ("ftp://prometheus", "it begins with neither http:// nor https://"),
        ("", "it begins with neither http:// nor https://"),
        ("http://:9090", "the host is neither a name nor an address"),
        ("http://host:0", "the port is not one of 1 to 65535"),
        ("http://me:secret@host", "a user or password does not belong here"),
        ("http://host/?query=1", "a query does not belong here"),
        ("http://host/#there", "a fragment is never sent"),
        ("http://a host", "it holds spaces, control characters or letters beyond ASCII"),
    ],
)
def test_a_source_that_cannot_be_one_is_refused(source: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_meter(measured(Metric.PROMETHEUS, source, "x"), FakeCloud().provider("web"))
    assert str(caught.value).startswith("group web: source: got '")
    assert str(caught.value).endswith(f"such as http://host:9090; {why}")
    assert "secret" not in str(caught.value)
