"""Whatever a query of Prometheus' answers, as one number: the load of all machines together.

Follows the documentation of its HTTP API (`/api/v1/query`, instant queries).
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from secretary.core.errors import MeterError
from secretary.core.machine import Machine
from secretary.scaler.meters.deadline import shown, together
from secretary.scaler.meters.sources import Page
from secretary.scaler.samples import Sample

REFUSALS: Final = frozenset({400, 422, 503})
"""A query that is wrong, cannot be carried out, or took too long: Prometheus says why."""
_ADVICE: Final = "; let the query answer with one number, such as sum(…)"


class _Element(msgspec.Struct, frozen=True):
    value: tuple[float, str]


class _Data(msgspec.Struct, frozen=True, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""


class PrometheusMeter:
    """Asks one query."""

    def __init__(self, url: str, query: str, timeout_s: float) -> None:
        """Raise ValueError, which says what is wrong with the base URL."""
        path = f"{url.rstrip('/')}/api/v1/query"
        self._page = Page(path, urlencode({"query": query}), REFUSALS)
        self._timeout_s = timeout_s

    def measure(self, machines: Sequence[Machine], now_s: float) -> Sample:
        (body,) = together([self._page], self._timeout_s)
        try:
            total = number(body)
        except MeterError as error:
            raise MeterError(f"{self._page.name}: {error}") from None
        return Sample.of_sum(now_s, total, len(machines))

    def close(self) -> None:
        """Nothing is held between two looks."""


def number(body: bytes) -> float:
    """Return the one number of an answer, 0 or more. MeterError says what else it is."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        if answer.status != "success" or answer.data is None:
            kind = shown(answer.error_type or answer.status)
            raise MeterError(f"refused the query: {kind}: {shown(answer.error)}")
        text = _only(answer.data)
        value = float(text)
    except (msgspec.DecodeError, ValueError) as error:
        words = shown(body[:1000].decode(errors="replace"))
        raise MeterError(f"does not answer as Prometheus does: {words}") from error
    if not 0 <= value < float("inf"):
        raise MeterError(f"answered {shown(text)}, which is no load: a load is 0 or more")
    return value


def _only(data: _Data) -> str:
    match data.result_type:
        case "scalar":
            return msgspec.json.decode(data.result, type=tuple[float, str])[1]
        case "vector":
            elements = msgspec.json.decode(data.result, type=list[_Element])
            if len(elements) == 1:
                return elements[0].value[1]
            how_many = f"{len(elements)} values" if elements else "nothing"
            raise MeterError(f"answered with {how_many}{_ADVICE}")
        case other:
            raise MeterError(f"answered with a {shown(other)}{_ADVICE}")
