"""What can go wrong between a client and DigitalOcean, to be put in the way of its requests."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """Without `status` the connection is closed and nothing is said.

    `is_applied`: the request is carried out all the same. `body` is what is said, where that is
    no error of the API's own. `delay_s` passes before anything is said.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    message: str = "made by the test"
    is_applied: bool = False
    delay_s: float = 0.0
    drip: bool = False
    """One byte at a time for ever, none of them late."""

    def written(self, path: str) -> bytes:
        """Return what is said to a request to `path`; of tags errors are said in their own way."""
        if self.body is not None:
            return self.body
        if (self.status, path) == (400, "/v2/tags"):
            return json.dumps({"error": self.message, "root_causes": []}).encode()
        return json.dumps({"id": f"error_{self.status}", "message": self.message}).encode()


DROPPED = Fault()
APPLIED_AND_DROPPED = Fault(is_applied=True)
GATEWAY_PAGE = Fault(502, {"Content-Type": "text/html"}, b"<html>bad gateway</html>")
NOT_JSON = Fault(200, {"Content-Type": "text/html"}, b"<html>please log in</html>")
DRIPPING = Fault(200, drip=True)


def failing(status: int, *, is_applied: bool = False) -> Fault:
    return Fault(status, is_applied=is_applied)


def too_many(retry_after_s: int) -> Fault:
    return Fault(429, {"Retry-After": str(retry_after_s)}, message="API rate limit exceeded")


@dataclass(slots=True)
class _Set:
    fault: Fault
    method: str
    path: str
    after: int
    is_once: bool = False

    def fits(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and re.fullmatch(self.path, path) is not None


class Faults:
    """Those that are set; the first that fits a request is in its way."""

    def __init__(self) -> None:
        self._set: list[_Set] = []
        self._over = threading.Event()
        self._lock = threading.Lock()

    def set(self, fault: Fault, method: str = "*", path: str = ".*", *, after: int = 0) -> None:
        """Put it into the way of all requests to `path` that come after the next so many."""
        with self._lock:
            self._set.append(_Set(fault, method, path, after))

    def once(self, fault: Fault, method: str, path: str) -> None:
        """Put it into the way of the next request to `path`."""
        with self._lock:
            self._set.append(_Set(fault, method, path, 0, is_once=True))

    @contextmanager
    def during(self, fault: Fault, method: str = "*", path: str = ".*") -> Iterator[None]:
        self.set(fault, method, path)
        try:
            yield
        finally:
            self.clear()

    def clear(self) -> None:
        """End them all, those too that are still going on."""
        with self._lock:
            self._set.clear()
            self._over.set()
            self._over = threading.Event()

    def end(self) -> threading.Event:
        """Return what says that the faults of now have been ended."""
        with self._lock:
            return self._over

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            found = next((each for each in self._set if each.fits(method, path)), None)
            if found is None:
                return None
            if found.after > 0:
                found.after -= 1
                return None
            if found.is_once:
                self._set.remove(found)
            return found.fault
