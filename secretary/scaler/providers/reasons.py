"""What went wrong, in words of one line: out of answers, and out of what came instead of one."""

import contextlib
import email.utils
import json
import math
import ssl
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from secretary.core.values import printable

_MOST_OF_AN_ANSWER: Final = 300
_PAUSES_S: Final = (1.0, 3600.0)


def told(body: bytes, secrets: Collection[str] = ()) -> str:
    """Return an answer's own words, if it has any: each service has its way of wrapping them.

    Something on the way may repeat the request, so the secrets are taken out.
    """
    text = body.decode(errors="replace")
    with contextlib.suppress(ValueError, StopIteration):
        text = next(_messages(json.loads(text)))
    for secret in secrets:
        text = text.replace(secret, "***")
    return one_line(text)


def _messages(answer: Any) -> Iterator[str]:
    if not isinstance(answer, dict):
        return
    for each in (answer, *answer.values()):
        if isinstance(each, dict) and each.get("message"):
            yield str(each["message"])
    if isinstance(error := answer.get("error"), str) and error:
        yield error


def pause_s(retry_after: str, now: float, default_s: float) -> float:
    """Return how long to wait: Retry-After in seconds or as a date, else the default."""
    for read, since in ((float, 0.0), (_date, now)):
        with contextlib.suppress(TypeError, ValueError):
            pause_s = read(retry_after) - since
            if math.isfinite(pause_s):
                return within(pause_s)
    return within(default_s)


def within(pause_s: float) -> float:
    """Return what a pause may be, at least and at most."""
    return min(max(pause_s, _PAUSES_S[0]), _PAUSES_S[1])


def _date(text: str) -> float:
    return email.utils.parsedate_to_datetime(text).timestamp()


def why(causes: Sequence[BaseException], otherwise: str) -> str:
    """Return why no answer came, or what is given for reasons that have no words here."""
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return "nothing, or not all, came in time"
        if "NameResolution" in type(cause).__name__:
            return "there is no such host"
    return otherwise


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield it and all that led to it: the layers keep that in several places."""
    to_do, seen = [error], set()
    while to_do:
        cause = to_do.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        named = (getattr(cause, name, None) for name in ("inner_exception", "reason"))
        behind = (cause.__cause__, cause.__context__, *named, *cause.args)
        to_do += [each for each in behind if isinstance(each, BaseException)]


def distrust(causes: Iterable[BaseException]) -> str | None:
    """Return why the other side's certificate is not believed, if that is what happened."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return printable(cause.verify_message)
    return None


def one_line(text: str) -> str:
    return printable(" ".join(text.split()))[:_MOST_OF_AN_ANSWER]
