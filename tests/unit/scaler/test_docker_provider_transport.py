"""How a Docker daemon is reached, as the environment says."""

import ssl
from pathlib import Path

import pytest

from secretary.core.errors import CloudError, CloudRefused, SettingsError
from secretary.scaler.providers.docker_calls import DockerCalls
from secretary.scaler.providers.docker_transport import transport
from tests.etcd_bed import Certificates
from tests.fakes.docker_server import docker_server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


def lay(directory: Path, *sources: str) -> None:
    """Put files where DOCKER_CERT_PATH leads: the authority, a certificate and its key."""
    for name, source in zip(("ca.pem", "cert.pem", "key.pem"), sources, strict=True):
        (directory / name).symlink_to(source)


@pytest.mark.parametrize(
    ("environ", "at", "base"),
    [
        ({}, "unix:///var/run/docker.sock", "http://docker"),
        ({"DOCKER_HOST": ""}, "unix:///var/run/docker.sock", "http://docker"),
        ({"DOCKER_HOST": "unix:///run/d.sock"}, "unix:///run/d.sock", "http://docker"),
        ({"DOCKER_HOST": "tcp://h:2375"}, "tcp://h:2375", "http://h:2375"),
        ({"DOCKER_HOST": "http://h:2375"}, "http://h:2375", "http://h:2375"),
        ({"DOCKER_HOST": "tcp://[::1]:2375"}, "tcp://[::1]:2375", "http://[::1]:2375"),
    ],
)
def test_a_daemon_is_reached_by_socket_or_tcp(environ: dict[str, str], at: str, base: str) -> None:
    found = transport(environ)
    assert (found.at, found.base) == (at, base)
    found.session.close()


@pytest.mark.parametrize(
    "host",
    ["ssh://me@host", "tcp://me:secret@host:2375", "tcp://host", "unix://docker.sock",
     "tcp://host:x", "npipe://./pipe", "/run/docker.sock", "tcp://:2375"],
)  # fmt: skip
def test_what_is_no_place_of_a_daemon_is_said_without_credentials(host: str) -> None:
    with pytest.raises(SettingsError, match=r"^DOCKER_HOST: is to be unix:///path or tcp") as error:
        transport({"DOCKER_HOST": host})
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("asked", ["DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"])
def test_tls_takes_the_files_of_the_docker_command(
    asked: str, certificates: Certificates, tmp_path: Path
) -> None:
    files = tmp_path / ".docker"
    environ = {"DOCKER_HOST": "tcp://h:2376", "HOME": str(tmp_path), asked: str(files)}
    with pytest.raises(SettingsError, match=r"^DOCKER_CERT_PATH: .*/\.docker/ca\.pem cannot be"):
        transport(environ)
    files.mkdir()
    lay(files, certificates.cacert, certificates.client_cert, certificates.client_key)
    found = transport(environ)
    assert found.base == "https://h:2376"
    assert found.session.verify == str(files / "ca.pem")
    assert found.session.cert == (str(files / "cert.pem"), str(files / "key.pem"))
    found.session.close()


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
def test_files_that_are_no_certificates_are_said(
    name: str, certificates: Certificates, tmp_path: Path
) -> None:
    lay(tmp_path, certificates.cacert, certificates.client_cert, certificates.client_key)
    (tmp_path / name).unlink()
    (tmp_path / name).write_text("no certificate")
    with pytest.raises(SettingsError, match=r"^DOCKER_CERT_PATH: .* is none: \["):
        transport({"DOCKER_HOST": "tcp://h:2376", "DOCKER_CERT_PATH": str(tmp_path)})


def test_both_sides_of_tls_prove_who_they_are(certificates: Certificates, tmp_path: Path) -> None:
    with docker_server(mutual(certificates)) as server:
        lay(tmp_path, certificates.cacert, certificates.client_cert, certificates.client_key)
        environ = {"DOCKER_HOST": server.url, "DOCKER_CERT_PATH": str(tmp_path)}
        calls = DockerCalls(transport(environ))
        assert calls.ask("GET", "/containers/json").body == b"[]"
        calls.close()


def test_a_daemon_that_cannot_prove_who_it_is_is_not_asked(
    certificates: Certificates, tmp_path: Path
) -> None:
    with docker_server(mutual(certificates)) as server:
        lay(tmp_path, certificates.other_cacert, certificates.client_cert, certificates.client_key)
        environ = {"DOCKER_HOST": server.url, "DOCKER_CERT_PATH": str(tmp_path)}
        calls = DockerCalls(transport(environ))
        with pytest.raises(CloudRefused, match=r"TLS fails: .*certificate.*; see DOCKER_CERT_PATH"):
            calls.ask("GET", "/containers/json")
        assert server.asked == []
        calls.close()


def test_a_certificate_that_the_daemon_does_not_take_is_refused(
    certificates: Certificates, tmp_path: Path
) -> None:
    with docker_server(mutual(certificates)) as server:
        lay(
            tmp_path,
            certificates.cacert,
            certificates.other_client_cert,
            certificates.other_client_key,
        )
        environ = {"DOCKER_HOST": server.url, "DOCKER_CERT_PATH": str(tmp_path)}
        calls = DockerCalls(transport(environ))
        with pytest.raises(CloudError, match=r"TLS fails|no answer"):
            calls.ask("POST", "/containers/create")
        assert server.asked == []
        calls.close()


def mutual(certificates: Certificates) -> ssl.SSLContext:
    """Return how a daemon with --tlsverify speaks."""
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.cacert)
    trust.verify_mode = ssl.CERT_REQUIRED
    trust.load_cert_chain(certificates.server_cert, certificates.server_key)
    return trust
