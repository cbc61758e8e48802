"""The certificates for asking Docker over TLS, found where the docker command finds them."""

import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Final

from secretary.core.errors import DockerRefused
from secretary.core.values import printable

_WORD_S: Final = 1.0
"""How long a daemon gets to say that it does not take our certificate."""


class Trust:
    """Files: an authority, a certificate and its key. DockerRefused when one cannot be read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        home = os.path.join(environ.get("HOME", ""), ".docker")
        directory = environ.get("DOCKER_CERT_PATH") or home
        self.authority, self.certificate, self.key = files = [
            os.path.join(directory, name) for name in ("ca.pem", "cert.pem", "key.pem")
        ]
        for file in files:
            if not os.access(file, os.R_OK):
                raise DockerRefused(f"DOCKER_CERT_PATH: {file} cannot be read")

    def objection(self, host: str, port: int) -> str | None:
        """Return why the daemon does not take our certificate; None when it says nothing.

        It says so after the handshake, and then cuts the connection. Who has sent a request by
        then may only see the cut, so here nothing is sent.
        """
        context = ssl.create_default_context(cafile=self.authority)
        with contextlib.suppress(OSError):
            context.load_cert_chain(self.certificate, self.key)
            with socket.create_connection((host, port), _WORD_S) as plain:
                try:
                    with context.wrap_socket(plain, server_hostname=host) as secure:
                        secure.recv(1)
                except ssl.SSLError as error:
                    return reason(error)
        return None


def reason(error: ssl.SSLError) -> str | None:
    """Return what TLS found amiss; None for a connection that was cut."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return None
    return printable(getattr(error, "verify_message", "") or error.reason or str(error))
