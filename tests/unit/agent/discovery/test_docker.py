"""The door to Docker against a server that a test dictates: settings, refusals, absences, TLS."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.agent.discovery import docker as module
from secretary.agent.discovery.docker import Docker
from secretary.agent.discovery.docker_events import Event
from secretary.core.errors import DockerAway, DockerError, DockerRefused
from tests.etcd_bed import Certificates
from tests.fakes.docker_server import DockerServer, docker_server
from tests.waiting import wait_for

ID = "4" * 64
LINE = (
    b'{"Type":"container","Action":"start","Actor":{"ID":"%s","Attributes":{"name":"web"}},'
    b'"timeNano":7}\n' % ID.encode()
)
STARTED = Event("start", ID, 7, "web")


@pytest.fixture
def server() -> Iterator[DockerServer]:
    with docker_server() as server:
        yield server


@pytest.fixture
def door(server: DockerServer) -> Iterator[Docker]:
    door = Docker({"DOCKER_HOST": server.url})
    yield door
    door.close()


@pytest.fixture
def cert_path(certificates: Certificates, tmp_path: Path) -> Path:
    """What DOCKER_CERT_PATH is to name."""
    for name, source in (
        ("ca.pem", certificates.cacert),
        ("cert.pem", certificates.client_cert),
        ("key.pem", certificates.client_key),
    ):
        (tmp_path / name).symlink_to(source)
    return tmp_path


@pytest.fixture
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


def mutual(certificates: Certificates) -> ssl.SSLContext:
    """Return how a daemon with --tlsverify speaks."""
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.cacert)
    trust.verify_mode = ssl.CERT_REQUIRED
    trust.load_cert_chain(certificates.server_cert, certificates.server_key)
    return trust


def replaced(path: Path, source: str) -> None:
    path.unlink()
    path.symlink_to(source)


@pytest.mark.parametrize(
    ("url", "at"),
    [
        ("", "unix:///var/run/docker.sock"),
        ("unix:///run/user/1000/docker.sock", "unix:///run/user/1000/docker.sock"),
        ("tcp://10.0.0.1:2375", "tcp://10.0.0.1:2375"),
        ("http://proxy:2375", "tcp://proxy:2375"),
        ("tcp://somebody@proxy:2375", "tcp://proxy:2375"),
        ("tcp://[::1]:2375", "tcp://[::1]:2375"),
    ],
)
def test_where_docker_is(url: str, at: str) -> None:
    """Making a door asks nothing, so an absent daemon is no error yet."""
    assert Docker({"DOCKER_HOST": url}).at == at


@pytest.mark.parametrize(
    "url",
    [
        "tcp://",
        "tcp://host",
        "ssh://host",
        "fd://3",
        "ftp://host:1",
        "tcp://me:hush@host:1",
        "unix://relative/sock",
    ],
)
def test_a_url_that_does_not_fit_is_refused_unquoted(url: str) -> None:
    with pytest.raises(DockerRefused, match="DOCKER_HOST is to be") as caught:
        Docker({"DOCKER_HOST": url})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
def test_a_certificate_that_is_missing_is_named(cert_path: Path, name: str) -> None:
    (cert_path / name).unlink()
    with pytest.raises(DockerRefused, match=f"DOCKER_CERT_PATH: .*/{name} cannot be read"):
        Docker({"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_CERT_PATH": str(cert_path)})


def test_certificates_stand_in_the_home_as_for_the_docker_command(tmp_path: Path) -> None:
    environ = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "HOME": str(tmp_path)}
    with pytest.raises(DockerRefused, match=rf"{tmp_path}/\.docker/ca\.pem cannot be read"):
        Docker(environ)


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    door = Docker({"DOCKER_HOST": f"unix://{tmp_path}/sock"})
    with pytest.raises(DockerAway) as caught:
        door.containers()
    assert str(caught.value) == (
        f"Docker at unix://{tmp_path}/sock does not answer: there is no such socket"
    )


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DockerAway, match=f"tcp://127.0.0.1:{port} .*: connection refused"):
        Docker({"DOCKER_HOST": f"tcp://127.0.0.1:{port}"}).events()


def test_a_daemon_that_is_frozen_is_away_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        door = Docker({"DOCKER_HOST": f"tcp://127.0.0.1:{silent.getsockname()[1]}"})
        with pytest.raises(DockerAway, match=r"nothing came within 0\.2 s"):
            door.inspect("web")


@pytest.mark.root
def test_a_socket_that_this_user_may_not_open(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/sock")
        listening.listen()
        Path(tmp_path, "sock").chmod(0o600)
        door = Docker({"DOCKER_HOST": f"unix://{tmp_path}/sock"})
        if os.geteuid() != 0:
            pytest.skip("needs root, to become somebody else")
        os.seteuid(65534)
        try:
            with pytest.raises(DockerRefused) as caught:
                door.containers()
        finally:
            os.seteuid(0)
    assert str(caught.value) == (
        f"Docker at unix://{tmp_path}/sock: this user may not open it; add it to the group docker,"
        " or set DOCKER_HOST to a filtering proxy"
    )


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/version", "containers"),
        ("/containers/json", "containers"),
        ("/events", "events"),
        ("/containers/web/json", "inspect"),
    ],
)
def test_a_proxy_that_filters_is_told_what_to_allow(
    server: DockerServer, door: Docker, path: str, ask: str
) -> None:
    server.answers[path] = (403, b"<h1>Forbidden</h1>")
    with pytest.raises(DockerRefused) as caught:
        door.inspect("web") if ask == "inspect" else getattr(door, ask)()
    assert str(caught.value) == (
        f"Docker at {server.url}: GET {path} is refused (403): the socket proxy must allow it"
    )


def test_only_what_is_needed_is_asked_for(server: DockerServer, door: Docker) -> None:
    """So a filtering proxy may refuse all else."""
    door.containers()
    door.inspect("web")
    door.ping()
    door.events().close()
    assert set(server.asked) == {
        "/version", "/containers/json", "/containers/web/json", "/events",
    }  # fmt: skip


def test_a_container_that_is_not_there_is_none(door: Docker) -> None:
    assert door.inspect("web") is None


def test_what_is_amiss_with_one_container_names_it(server: DockerServer, door: Docker) -> None:
    server.answers[f"/containers/{ID}/json"] = (200, {"Id": ID, "Name": "/web", "State": 1})
    with pytest.raises(DockerError, match=r"container web: .* cannot be read") as caught:
        door.inspect(ID)
    assert not isinstance(caught.value, DockerAway | DockerRefused)
    server.answers[f"/containers/{ID}/json"] = (500, {"message": "no layer"})
    with pytest.raises(DockerError, match=r"is answered by 500: .*no layer") as caught:
        door.inspect(ID)
    assert not isinstance(caught.value, DockerAway | DockerRefused)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_daemon_that_fails_as_a_whole_is_away(
    server: DockerServer, door: Docker, status: int
) -> None:
    server.answers["/containers/json"] = (status, b"")
    with pytest.raises(DockerAway, match=f"GET /containers/json is answered by {status}"):
        door.containers()


def test_a_list_that_is_none_is_an_error(server: DockerServer, door: Docker) -> None:
    server.answers["/containers/json"] = (200, {"Id": 1})
    with pytest.raises(DockerError, match="GET /containers/json"):
        door.containers()


@pytest.mark.parametrize("is_chunked", [True, False])
def test_events_come_one_by_one_however_they_are_sent(
    server: DockerServer, door: Docker, is_chunked: bool
) -> None:
    server.is_chunked = is_chunked
    server.events = [LINE[:20], LINE[20:] + LINE, b"\n", b"nonsense\n", LINE]
    stream = door.events()
    events = iter(stream)
    assert [next(events) for _ in range(3)] == [STARTED] * 3
    server.ending.set()
    with pytest.raises(DockerAway, match="does not answer: it ended the events"):
        next(events)


def ended_by_close(door: Docker) -> None:
    """Read a stream in another thread, and close it while it waits."""
    stream = door.events()
    got: list[Event] = []
    first, errors = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            for event in stream:
                got.append(event)
                first.set()
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert first.wait(5)
    stream.close()
    reader.join(2)
    assert not reader.is_alive()
    stream.close()
    assert (got, errors) == ([STARTED], [])


def test_a_stream_is_closed_from_another_thread(server: DockerServer, door: Docker) -> None:
    server.events = [LINE]
    ended_by_close(door)


def test_a_stream_nobody_reads_is_closed_too(door: Docker) -> None:
    stream = door.events()
    stream.close()
    assert list(stream) == []


def test_events_may_be_silent_for_longer_than_a_call(
    server: DockerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_TIMEOUT_S", 0.2)
    door = Docker({"DOCKER_HOST": server.url})
    stream = door.events()
    threading.Timer(0.6, stream.close).start()
    assert list(stream) == []
    door.close()


def test_an_answer_that_drips_in_is_cut_off(server: DockerServer, door: Docker) -> None:
    """No silence between two bytes is long enough to end it by itself."""
    assert door.containers() == []
    server.drips_s = 0.05
    server.answers["/containers/json"] = (200, [{"Id": ID}] * 1000)
    failures: list[Exception] = []

    def ask() -> None:
        with pytest.raises(DockerAway) as caught:
            door.containers()
        failures.append(caught.value)

    asking = threading.Thread(target=ask)
    asking.start()
    assert server.dripping.wait(5)

    def has_ended() -> bool:
        door.abort()  # the first may come before the answer's head has been read
        return not asking.is_alive()

    wait_for(has_ended)
    asking.join()
    assert "does not answer" in str(failures[0])
    server.drips_s = None
    assert len(door.containers()) == 1000


def test_a_daemon_that_comes_back_is_asked_anew(server: DockerServer, door: Docker) -> None:
    server.answers["/version"] = (503, b"")
    with pytest.raises(DockerAway):
        door.containers()
    server.answers["/version"] = (200, {"ApiVersion": "1.41"})
    assert door.containers() == []


def test_the_version_is_agreed_on_anew_with_another_daemon(
    server: DockerServer, door: Docker
) -> None:
    """An upgrade may bring one to which the former version is too old."""
    assert door.containers() == []
    server.answers["/containers/json"] = (400, {"message": "client version 1.41 is too old"})
    with pytest.raises(DockerRefused, match="too old"):
        door.containers()
    server.answers["/containers/json"] = (200, [])
    server.asked.clear()
    door.containers()
    assert server.asked == ["/version", "/containers/json"]


class TestTLS:
    """As `docker` does it: DOCKER_CERT_PATH holds ca.pem, cert.pem and key.pem."""

    @pytest.fixture
    def server(self, certificates: Certificates) -> Iterator[DockerServer]:
        with docker_server(mutual(certificates)) as server:
            yield server

    @pytest.fixture
    def environ(self, server: DockerServer, cert_path: Path) -> dict[str, str]:
        return {
            "DOCKER_HOST": server.url,
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(cert_path),
        }

    def test_certificates_are_shown_and_verified(
        self, server: DockerServer, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Variables that are meant for the web do not matter."""
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(variable, "/etc/hostname")
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        server.events = [LINE]
        door = Docker(environ)
        assert door.containers() == []
        ended_by_close(door)
        door.close()

    def test_the_path_alone_means_verification_too(
        self, environ: dict[str, str], cert_path: Path, certificates: Certificates
    ) -> None:
        del environ["DOCKER_TLS_VERIFY"]
        replaced(cert_path / "ca.pem", certificates.other_cacert)
        with pytest.raises(DockerRefused, match=r"TLS fails: .*; see DOCKER_CERT_PATH"):
            Docker(environ).containers()

    def test_a_client_that_is_not_known_is_refused(
        self, environ: dict[str, str], cert_path: Path, certificates: Certificates
    ) -> None:
        replaced(cert_path / "cert.pem", certificates.other_client_cert)
        replaced(cert_path / "key.pem", certificates.other_client_key)
        with pytest.raises(DockerRefused, match="TLS fails"):
            Docker(environ).containers()

    def test_a_server_of_another_name_is_refused(
        self, certificates: Certificates, environ: dict[str, str]
    ) -> None:
        trust = mutual(certificates)
        trust.load_cert_chain(certificates.elsewhere_cert, certificates.elsewhere_key)
        with docker_server(trust) as elsewhere:
            door = Docker(environ | {"DOCKER_HOST": elsewhere.url})
            with pytest.raises(DockerRefused, match="TLS fails"):
                door.containers()

    def test_files_that_are_no_certificates_are_refused(
        self, environ: dict[str, str], cert_path: Path
    ) -> None:
        (cert_path / "cert.pem").unlink()
        (cert_path / "cert.pem").write_text("no certificate")
        with pytest.raises(DockerRefused):
            Docker(environ).containers()
