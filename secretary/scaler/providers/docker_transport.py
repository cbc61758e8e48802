"""How a Docker daemon is reached: a local socket, TCP, or TLS with the files Docker has for it."""

import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from secretary.core.errors import SettingsError
from secretary.scaler.providers.bounded import BoundedAdapter, session

_SOCKET: Final = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Transport:
    """`at` is where the daemon is, for people; `base` is what the session's URLs begin with."""

    at: str
    base: str
    session: requests.Session


def transport(environ: Mapping[str, str]) -> Transport:
    """Read DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.

    With either of the last two TCP is TLS, and the daemon's certificate is verified.
    SettingsError names the one that will not do.
    """
    at = environ.get("DOCKER_HOST") or _SOCKET
    opened = session()
    opened.trust_env = False  # proxies and a .netrc are meant for the web
    scheme, _, path = at.partition("://")
    if scheme == "unix" and path.startswith("/"):
        opened.mount("http://", _LocalAdapter(path))
        return Transport(at, "http://docker", opened)
    parts = urlsplit(at)
    if parts.scheme not in ("tcp", "http", "https") or not _is_host_and_port(parts.netloc):
        raise SettingsError(
            "DOCKER_HOST: is to be unix:///path or tcp://host:port, without credentials"
        )
    asked_for_tls = environ.get("DOCKER_TLS_VERIFY") or environ.get("DOCKER_CERT_PATH")
    if not asked_for_tls and parts.scheme != "https":
        return Transport(at, f"http://{parts.netloc}", opened)
    _trust(opened, environ)
    return Transport(at, f"https://{parts.netloc}", opened)


def _is_host_and_port(netloc: str) -> bool:
    host, _, port = netloc.rpartition(":")
    return bool(host) and "@" not in host and port.isdecimal()


def _trust(opened: requests.Session, environ: Mapping[str, str]) -> None:
    home = os.path.join(environ.get("HOME", ""), ".docker")
    directory = environ.get("DOCKER_CERT_PATH") or home
    authority, certificate, key = files = [
        os.path.join(directory, name) for name in ("ca.pem", "cert.pem", "key.pem")
    ]
    for file in files:
        if not os.access(file, os.R_OK):
            raise SettingsError(f"DOCKER_CERT_PATH: {file} cannot be read")
    try:
        ssl.create_default_context(cafile=authority).load_cert_chain(certificate, key)
    except OSError as error:
        raise SettingsError(
            f"DOCKER_CERT_PATH: {directory}: ca.pem, cert.pem or key.pem is none: {error.args[-1]}"
        ) from error
    opened.verify, opened.cert = authority, (certificate, key)


class _LocalAdapter(BoundedAdapter):
    """Asks the socket at `path`, whatever the URL's host is."""

    def __init__(self, path: str) -> None:
        self._path = path
        super().__init__()

    def init_poolmanager(self, *how: Any, **more: Any) -> None:
        super().init_poolmanager(*how, **more)
        plain: Any = self.poolmanager.pool_classes_by_scheme["http"]
        path = self._path

        class Local(plain.ConnectionCls):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                made = socket.socket(socket.AF_UNIX)
                try:
                    made.settimeout(self.timeout)
                    made.connect(path)
                except BaseException:
                    made.close()
                    raise
                return made

        class Pool(plain):  # type: ignore[misc]
            ConnectionCls = Local

        self.poolmanager.pool_classes_by_scheme = {"http": Pool}
