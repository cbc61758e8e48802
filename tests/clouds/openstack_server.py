"""The test cloud's process: Nova and the services beside it on one port, behind the faults.

Runs with Nova's Python: `python -m tests.clouds.openstack_server PORT`; PORT may be 0. What it
listens on is the last line of its output. Under /control/ the tests say what is to happen.
"""

from tests.clouds.openstack_nova import Nova  # first: it changes what the others are made of

# isort: split
import dataclasses
import json
import sys
import unittest
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tests.clouds.openstack_faults import CONNECTION, Fault, Faults
from tests.clouds.openstack_fronts import PASSWORD, ROLES, Identity, Images, Networks
from tests.clouds.openstack_fronts import answer as _answer
from tests.clouds.openstack_fronts import asked as _asked

LISTENS = "listens on "
_PUBLIC = ("/image", "/network", "/network/v2.0")
"""What a service says of itself, to everybody."""


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    def get_environ(self) -> WSGIEnvironment:
        return {**super().get_environ(), CONNECTION: self.connection}

    def get_stderr(self) -> Any:
        return sys.__stderr__  # Nova's fixtures keep the other one for themselves

    def log_message(self, *_: Any) -> None:
        """Keep no access log."""


class Cloud:
    """Sends each request to whom it is for."""

    def __init__(self, nova: Nova, url: str) -> None:
        self.identity = Identity(url, nova.project)
        self._nova = nova.application
        self._project = nova.project
        self._microversion: str | None = None
        self._fronts: dict[str, WSGIApplication] = {
            "identity": self.identity,
            "image": self._known(Images(url, nova.images)),
            "network": self._known(Networks(url, nova.networks)),
            "compute": self._compute,
        }
        self.faults = Faults(self._pass_on)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/control/"):
            return self._control(environ, start)
        return self.faults(environ, start)

    def _pass_on(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        front = self._fronts.get(environ["PATH_INFO"].split("/")[1])
        if front is None:
            return _answer(start, "404 Not Found", {})
        return front(environ, start)

    def _known(self, app: WSGIApplication) -> WSGIApplication:
        """Let in only who has a token."""

        def checked(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            is_public = environ["PATH_INFO"].rstrip("/") in _PUBLIC
            if not is_public and environ.get("HTTP_X_AUTH_TOKEN") not in self.identity.tokens:
                error = {"code": 401, "message": "The token is unknown."}
                return _answer(start, "401 Unauthorized", {"unauthorized": error})
            return app(environ, start)

        return checked

    def _compute(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        user = self.identity.tokens.get(environ.get("HTTP_X_AUTH_TOKEN", ""), "")
        environ["SCRIPT_NAME"] = "/compute"
        environ["PATH_INFO"] = path = environ["PATH_INFO"].removeprefix("/compute")
        environ["HTTP_X_AUTH_USER"] = user
        environ["HTTP_X_AUTH_PROJECT_ID"] = self._project
        environ["HTTP_X_ROLES"] = ROLES.get(user, "")
        if path.strip("/") in ("", "v2.1"):
            return self._versions(environ, start)
        return self._known(self._nova)(environ, start)

    def _versions(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Let Nova say what it speaks, or what it would say if it were older."""
        if self._microversion is None:
            return self._nova(environ, start)
        told: list[Any] = []

        def keep(status: str, *_: Any) -> Any:
            told.append(status)
            return lambda _: None

        body = json.loads(b"".join(self._nova(environ, keep)))
        for version in body.get("versions", [body.get("version")]):
            if version["id"] == "v2.1":
                version["version"] = self._microversion
        return _answer(start, told[0], body)

    def _control(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Do what the last part of the path says."""
        told: Any = None
        said = _asked(environ)
        match environ["PATH_INFO"].removeprefix("/control/"):
            case "fault":
                self.faults.all.append(Fault(**said))
            case "mend":
                self.faults.all.clear()
                self.identity.passwords = dict.fromkeys(ROLES, PASSWORD)
                self._microversion = None
            case "asked":
                told = [list(each) for each in self.faults.asked]
            case "faults":
                told = [dataclasses.asdict(fault) for fault in self.faults.all]
            case "tokens":
                told = list(self.identity.tokens)
            case "revoke":
                self.identity.tokens.clear()
            case "password":
                self.identity.passwords["scaler"] = said
            case "microversion":
                self._microversion = said
            case unknown:
                return _answer(start, "404 Not Found", f"no control {unknown}")
        return _answer(start, "200 OK", told)


def serve(nova: Nova, port: int) -> None:
    server = make_server(
        "127.0.0.1", port, lambda *_: [], server_class=Server, handler_class=Handler
    )
    url = f"http://127.0.0.1:{server.server_port}"
    server.set_app(Cloud(nova, url))
    print(f"{LISTENS}{url}", flush=True)  # noqa: T201 - whoever started this waits for it
    server.serve_forever()


def main() -> None:
    port = int(sys.argv.pop())  # Nova reads the arguments too
    result = unittest.TestResult()
    Nova(lambda nova: serve(nova, port)).run(result)
    for _, failure in (*result.errors, *result.failures):
        sys.stderr.write(failure)


if __name__ == "__main__":
    main()
