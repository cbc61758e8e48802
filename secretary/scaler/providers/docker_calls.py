"""The scaler's door to a Docker daemon: one request, one answer, in time.

It needs no library of Docker's: the API is JSON over HTTP. What goes wrong leaves as a CloudError
of one line, and nothing is ever asked twice.
"""

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import msgspec
import requests

from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused
from secretary.core.values import printable
from secretary.scaler.providers import reasons
from secretary.scaler.providers.docker_transport import Transport

CALL_TIMEOUT_S: Final = 10.0
RETRY_AFTER_S: Final = 5.0
"""When whoever is too busy does not say how long."""
_DISTRUST: Final = ("CERTIFICATE", "UNKNOWN_CA", "WRONG_VERSION_NUMBER")
"""In OpenSSL's reasons, where nothing has been asked for yet."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    retry_after_s: float = RETRY_AFTER_S

    @property
    def said(self) -> str:
        """What the daemon says, on one line."""
        return reasons.told(self.body) or f"status {self.status}"


class DockerCalls:
    """May be used from several threads. `timeout_s` is that of a whole call."""

    def __init__(self, transport: Transport, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self.at = f"Docker at {transport.at}"
        self._transport = transport
        self._timeout_s = timeout_s
        self._version = ""

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        accept: tuple[int, ...] = (200,),
        more_s: float = 0.0,
    ) -> Answer:
        """Return an answer whose status is one of `accept`.

        Values of `query` that are no texts or numbers are sent as JSON, and `more_s` is for what
        takes longer than other calls. CloudBusy, CloudAway or CloudRefused.
        """
        version = self._version
        if not version:
            told = self._send("GET", "", "/version", {}, None, 0.0)
            if told.status != 200:
                raise self._error("GET", "/version", told)
            version = self._version = f"/v{self.decode(told, _Version).api}"
        answer = self._send(method, version, path, query or {}, body, more_s)
        if answer.status not in accept:
            raise self._error(method, path, answer)
        return answer

    def decode(self, answer: Answer, type_: type[T]) -> T:
        """Read an answer. CloudAway when it is not what it should be."""
        try:
            return msgspec.json.decode(answer.body, type=type_)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CloudAway(f"{self.at}: its answer cannot be read: {error}") from error

    def close(self) -> None:
        self._transport.session.close()

    def _send(
        self, method: str, version: str, path: str, query: Mapping[str, Any], body: Any,
        more_s: float,
    ) -> Answer:  # fmt: skip
        params = {
            key: value if isinstance(value, str | int) else json.dumps(value)
            for key, value in query.items()
        }
        try:
            with self._transport.session.request(
                method, f"{self._transport.base}{version}{path}", params=params, json=body,
                timeout=(self._timeout_s, self._timeout_s + more_s), allow_redirects=False,
            ) as response:  # fmt: skip
                after = response.headers.get("Retry-After", "")
                wait_s = reasons.pause_s(after, time.time(), RETRY_AFTER_S)
                return Answer(response.status_code, response.content, wait_s)
        except (requests.RequestException, OSError) as error:
            self._version = ""  # it may be another daemon that answers next
            failure = self._failure(f"{method} {path}", list(reasons.causes(error)))
            raise failure from error

    def _error(self, method: str, path: str, answer: Answer) -> CloudError:
        """Return what an answer means that was not hoped for."""
        message = f"{self.at}: {method} {path}: {answer.said}"
        if answer.status == 429:
            return CloudBusy(message, answer.retry_after_s)
        if answer.status in (401, 403):
            return CloudRefused(f"{message}; the socket's proxy must allow it")
        return (CloudRefused if 400 <= answer.status < 500 else CloudAway)(message)

    def _failure(self, asked: str, causes: list[BaseException]) -> CloudError:
        """Return what it means that no answer came."""
        for cause in causes:
            if isinstance(cause, PermissionError):
                return CloudRefused(
                    f"{self.at}: this user may not open it; add it to the group docker, or set"
                    " DOCKER_HOST"
                )
        if (why := reasons.distrust(causes) or _distrust(causes)) is not None:
            return CloudRefused(f"{self.at}: TLS fails: {why}; see DOCKER_CERT_PATH")
        return CloudAway(f"{self.at}: {asked}: no answer: {_why(causes)}")


def _distrust(causes: list[BaseException]) -> str | None:
    """Return why one side does not take the other; None when something else went wrong."""
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and any(w in (cause.reason or "") for w in _DISTRUST):
            return printable(cause.reason)
    return None


def _why(causes: list[BaseException]) -> str:
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        return "there is no such socket"
    last = causes[-1]
    strerror = last.strerror if isinstance(last, OSError) else None
    return reasons.why(causes, reasons.one_line(strerror or str(last) or type(last).__name__))


class _Version(msgspec.Struct):
    api: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+$")] = msgspec.field(
        name="ApiVersion"
    )
