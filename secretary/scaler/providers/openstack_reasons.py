"""What went wrong, in words of one line: out of answers, and out of what came instead of one."""

import contextlib
import email.utils
import json
import ssl
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from secretary.core.values import printable

_MOST_OF_AN_ANSWER: Final = 200
_PAUSE_S: Final = 5.0
"""Where a cloud that is busy does not say for how long."""
_PAUSES_S: Final = (1.0, 3600.0)


def told(body: bytes, secrets: Collection[str]) -> str:
    """Return an answer's own words: each service wraps its message in a word of its own."""
    text = body.decode(errors="replace").strip()
    with contextlib.suppress(ValueError, AttributeError, StopIteration):
        told = json.loads(text)
        text = next(
            str(each["message"])
            for each in (told, *told.values())
            if isinstance(each, dict) and "message" in each
        )
    for secret in secrets:
        text = text.replace(secret, "***")
    return one_line(text)


def pause_s(text: str, now: float) -> float:
    """Return how long to wait: Retry-After in seconds or as a date."""
    pause_s = _PAUSE_S
    with contextlib.suppress(TypeError, ValueError):
        pause_s = float(text) if text.isdigit() else _date(text) - now
    return min(max(pause_s, _PAUSES_S[0]), _PAUSES_S[1])


def _date(text: str) -> float:
    return email.utils.parsedate_to_datetime(text).timestamp()


def why(causes: Sequence[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return "nothing, or not all, came in time"
        if "NameResolution" in type(cause).__name__:
            return "there is no such host"
    return f"the connection broke off, or the answer cannot be read ({type(causes[0]).__name__})"


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield it and all that led to it: the layers keep that in several places."""
    to_do, seen = [error], set()
    while to_do:
        cause = to_do.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        behind = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        to_do += [each for each in behind if isinstance(each, BaseException)]


def distrust(causes: Iterable[BaseException]) -> str | None:
    """Return why the other side's certificate is not believed, if that is what happened."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return printable(cause.verify_message)
    return None


def one_line(text: str) -> str:
    return printable(" ".join(text.split()))[:_MOST_OF_AN_ANSWER]
