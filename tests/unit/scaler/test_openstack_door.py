"""What the door to OpenStack makes of answers that Nova itself never gives."""

import contextlib
import ssl
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
import trustme

from secretary.core.errors import CloudAway, CloudRefused, SettingsError
from secretary.scaler.providers.openstack_door import Door
from secretary.scaler.providers.openstack_login import Login
from tests.clouds.openstack_fronts import PASSWORD, REGION, Identity


class Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep no access log."""


class Server(WSGIServer):
    def handle_error(self, *_: object) -> None:
        """A client that does not believe the certificate goes away."""


class Cloud:
    """An identity that is as it should be, and a compute that answers as `compute` does."""

    def __init__(self, compute: WSGIApplication) -> None:
        self._compute = compute
        self.asked: list[str] = []

    @contextlib.contextmanager
    def listens(self, trust: ssl.SSLContext | None = None) -> Iterator[str]:
        with make_server(
            "127.0.0.1", 0, self._answer, server_class=Server, handler_class=Handler
        ) as server:
            url = f"{'https' if trust else 'http'}://127.0.0.1:{server.server_port}"
            if trust is not None:
                server.socket = trust.wrap_socket(server.socket, server_side=True)
            self._identity = Identity(url, "lab")
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield url
            finally:
                server.shutdown()
                thread.join()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        self.asked.append(environ["PATH_INFO"])
        is_login = environ["PATH_INFO"].startswith("/identity")
        return (self._identity if is_login else self._compute)(environ, start)


def environ(url: str, **more: str) -> dict[str, str]:
    return {
        "OS_AUTH_URL": f"{url}/identity/v3",
        "OS_USERNAME": "scaler",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "lab",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": REGION,
        **more,
    }


@contextlib.contextmanager
def door(url: str, **more: str) -> Iterator[Door]:
    with contextlib.closing(Door(Login(environ(url, **more), ""))) as door:
        yield door


def teapot(_: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    start("418 I'm a teapot", [("Content-Type", "text/html")])
    return [b"<h1>short\nand\x1b stout</h1>"]


def elsewhere(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    start("302 Found", [("Location", "/elsewhere")])
    return []


def test_what_nobody_has_heard_of_is_told_as_it_is() -> None:
    with (
        Cloud(teapot).listens() as url,
        door(url) as opened,
        pytest.raises(CloudRefused) as raised,
    ):
        opened.ask("GET", "/servers/detail")
    assert str(raised.value) == (
        f"OpenStack at {url}/identity/v3: GET compute /servers/detail is answered by 418:"
        " <h1>short and\\x1b stout</h1>"
    )


def test_no_token_is_taken_elsewhere() -> None:
    cloud = Cloud(elsewhere)
    with (
        cloud.listens() as url,
        door(url) as opened,
        pytest.raises(CloudRefused, match="leads elsewhere"),
    ):
        opened.within(10).ask("POST", "/v2.0/servers", service="network", json={})
    assert "/elsewhere" not in cloud.asked


def test_an_operation_whose_time_is_over_asks_nothing() -> None:
    cloud = Cloud(teapot)
    with (
        cloud.listens() as url,
        door(url) as opened,
        pytest.raises(CloudAway, match="no time was left"),
    ):
        opened.within(0).ask("GET", "/servers/detail")
    assert cloud.asked == []


def test_a_certificate_is_believed_only_from_the_authority_that_is_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(trust)
    with Cloud(teapot).listens(trust) as url:
        with door(url) as opened, pytest.raises(CloudRefused, match=r"TLS fails: .*OS_CACERT"):
            opened.ask("GET", "/servers/detail")
        with (
            door(url, OS_CACERT=str(tmp_path / "ca.pem")) as opened,
            pytest.raises(CloudRefused, match="418"),
        ):
            opened.ask("GET", "/servers/detail")


def test_an_authority_that_is_not_there_is_a_wrong_setting() -> None:
    with (
        pytest.raises(SettingsError, match=r"OS_CACERT: /nowhere/ca\.pem"),
        door("http://127.0.0.1:9", OS_CACERT="/nowhere/ca.pem"),
    ):
        pass
