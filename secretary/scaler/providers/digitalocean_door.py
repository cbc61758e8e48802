"""DigitalOcean's one door: pydo, told to repeat nothing, log nothing and follow nothing.

pydo gives the paths and the bodies. Its pipeline is replaced by one policy, which tells the
three errors apart; it is not given the token. Imported only where a group wants DigitalOcean.
"""

import contextlib
import json
import math
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import HTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from pydo import Client

from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused
from secretary.scaler.providers import bounded, reasons
from secretary.scaler.providers.digitalocean_answers import NotThere
from secretary.scaler.providers.digitalocean_token import Token

CONNECT_S: Final = 5.0
_PAUSE_S: Final = 60.0
"""Where nobody says how long."""
_PENDING_S: Final = 5.0


class _Rejected(CloudRefused):
    """The token."""


class Door:
    """Asks pydo's client. May be used from several threads."""

    def __init__(self, url: str, token: Token, wall_clock: Callable[[], float] = time.time) -> None:
        self._token = token
        session = bounded.session()
        session.auth = token
        self._client = Client(
            "unused",  # by a pipeline that has no policy for it
            endpoint=url,
            transport=RequestsTransport(session=session),
            policies=[_Judge(urlsplit(url).netloc, token, wall_clock)],
        )

    def within(self, timeout_s: float) -> "Asking":
        """Begin an operation of one or more questions that have so long together."""
        return Asking(self.ask, time.monotonic() + timeout_s)

    def ask(self, question: Callable[..., Any], timeout_s: float) -> Any:
        """Return what pydo makes of the answer. CloudError.

        A token that is rejected is read again, once; what was asked with it was not done.
        """
        used = self._token.value
        try:
            return self._ask(question, timeout_s)
        except _Rejected:
            if not self._token.renewed(used):
                raise
        return self._ask(question, timeout_s)

    def close(self) -> None:
        self._client.close()

    def _ask(self, question: Callable[..., Any], timeout_s: float) -> Any:
        try:
            return question(
                self._client,
                connection_timeout=min(CONNECT_S, timeout_s),
                read_timeout=timeout_s,
            )
        except CloudError:
            raise
        except (AzureError, ValueError) as error:
            # The policy has let it pass: a status or a header that the specification does not know.
            raise CloudAway(
                f"DigitalOcean answers in a way that cannot be read: {type(error).__name__}"
            ) from error


class Asking:
    """One operation: its questions share the time."""

    def __init__(self, ask: Callable[[Callable[..., Any], float], Any], end: float) -> None:
        self._ask = ask
        self._end = end

    def __call__(self, question: Callable[..., Any]) -> Any:
        """Ask `question(client, **timeouts)`. CloudAway, too, when there is no time left."""
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise CloudAway("DigitalOcean answers too slowly: there was no time for all questions")
        return self._ask(question, left_s)


class _Judge(HTTPPolicy[Any, Any]):
    """Lets good answers pass, and makes a CloudError of everything else."""

    def __init__(self, at: str, token: Token, wall_clock: Callable[[], float]) -> None:
        super().__init__()
        self._at = at
        self._token = token
        self._wall_clock = wall_clock

    def send(self, request: Any) -> Any:
        sent = request.http_request
        asked = f"DigitalOcean at {self._at}: {sent.method} {urlsplit(sent.url).path}"
        try:
            answer = self.next.send(request)
        except (AzureError, OSError) as error:
            _not_answered(asked, error)
        response = answer.http_response
        body = bytes(response.content)
        if 200 <= response.status_code < 300:
            _readable(asked, body)
            return answer
        self._refused(asked, response.status_code, response.headers, body)

    def _refused(self, asked: str, status: int, headers: Any, body: bytes) -> NoReturn:
        told = reasons.told(body, [self._token.value])
        said = f"{asked} is answered by {status}: {told or 'nothing'}"
        if status == 429:
            pause_s = _pause_s(headers, self._wall_clock())
            raise CloudBusy(f"{said}; asked too often, again in {pause_s:.0f} s", pause_s)
        if status == 401:
            raise _Rejected(f"{said}; the token is rejected: give {self._token.source} a valid one")
        if status == 403:
            raise CloudRefused(f"{said}; the token of {self._token.source} lacks a scope")
        if status == 404:
            raise NotThere(said)
        if status == 422 and "pending event" in told:
            raise CloudBusy(f"{said}; again in {_PENDING_S:.0f} s", _PENDING_S)
        if status == 408 or not 400 <= status < 500:
            raise CloudAway(said)
        raise CloudRefused(said)


def _readable(asked: str, body: bytes) -> None:
    try:
        if body:
            json.loads(body)
    except ValueError as error:
        raise CloudAway(f"{asked} is answered by something that is not JSON") from error


def _pause_s(headers: Any, now: float) -> float:
    """Return how long to wait: Retry-After, or else until the limit is counted anew."""
    left_s = _PAUSE_S
    with contextlib.suppress(TypeError, ValueError):
        until_s = float(headers.get("ratelimit-reset", "")) - now
        left_s = until_s if math.isfinite(until_s) else _PAUSE_S
    return reasons.pause_s(headers.get("Retry-After", ""), now, left_s)


def _not_answered(asked: str, error: Exception) -> NoReturn:
    causes = list(reasons.causes(error))
    if (why := reasons.distrust(causes)) is not None:
        raise CloudRefused(f"{asked}: TLS fails: {why}; see REQUESTS_CA_BUNDLE") from error
    why = reasons.why(causes, "the connection broke off")
    raise CloudAway(f"{asked} is not answered: {why}") from error
