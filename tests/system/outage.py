"""A client of a site that may be away, who knows how long it was.

    with Client(address) as client:
        ...                             # kill what serves it
        client.is_served()
    assert client.outage_s < 4, client.told()

It asks every 200 ms, each time on a new connection and in a thread of its own, so that a request
that hangs keeps no other from being sent; after a second without an answer a request is lost.
"""

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final, Self

from tests.waiting import wait_for

PERIOD_S: Final = 0.2
DEADLINE_S: Final = 1.0
APART: Final = 5
"""So many good requests in a row end an outage; what is lost later is another one."""
_MOST_S: Final = 240.0
"""No client goes on for longer, whatever a test does."""
_TOLD: Final = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; `why` says how it was lost, and is empty when `app` answered."""

    began_s: float
    took_s: float
    app: str
    why: str


class Client:
    """Asks port 80 of an address while entered; then waits for what is under way."""

    def __init__(self, address: str, path: str = "/load") -> None:
        self._address = address
        self._path = path
        self._asked: list[Asked] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="client")

    def __enter__(self) -> Self:
        self._thread.start()
        self.is_served()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def asked(self) -> list[Asked]:
        """Those whose end is known, in the order in which they began."""
        return sorted(self._asked, key=lambda each: each.began_s)

    @property
    def lost(self) -> list[Asked]:
        return [each for each in self.asked if each.why]

    @property
    def outages_s(self) -> list[float]:
        """From each first lost request's beginning to that of the first of APART good ones."""
        outages, began_s, good = [], 0.0, list[float]()
        for each in self.asked:
            if each.why:
                began_s, good = began_s or each.began_s, []
            elif began_s:
                good.append(each.began_s)
                if len(good) == APART:
                    outages.append(good[0] - began_s)
                    began_s, good = 0.0, []
        return [*outages, *[good[0] - began_s if good else float("inf")] * bool(began_s)]

    @property
    def outage_s(self) -> float:
        """The longest of them."""
        return max(self.outages_s, default=0.0)

    def apps(self, since_s: float = 0.0) -> set[str]:
        """Which apps have answered requests that began after that moment."""
        return {each.app for each in self.asked if each.began_s > since_s and not each.why}

    def is_served(self, times: int = APART, *, timeout_s: float = 30.0) -> None:
        """Wait until so many requests in a row, that begin after now, have been answered."""
        since_s = time.monotonic()

        def goes_on() -> bool:
            last = [each for each in self.asked if each.began_s > since_s][-times:]
            return len(last) == times and not any(each.why for each in last)

        wait_for(goes_on, timeout_s=timeout_s, what=f"{times} requests in a row were answered")

    def told(self) -> str:
        """How it went, for the message of an assertion."""
        asked, lost = self.asked, self.lost
        answers = Counter(each.app for each in asked if not each.why)
        lines = [
            f"{len(lost)} of {len(asked)} requests lost,"
            f" away for {', '.join(f'{each:.1f}' for each in self.outages_s) or 0} s;"
            f" answers: {dict(answers)}"
        ]
        for each in lost[:_TOLD]:
            since_s = each.began_s - lost[0].began_s
            lines.append(f"at {since_s:.2f} after {each.took_s:.2f} s: {each.why}")
        return "\n".join(lines)

    # In the threads

    def _run(self) -> None:
        begin_s = time.monotonic()
        threads: list[threading.Thread] = []
        for number in range(int(_MOST_S / PERIOD_S)):
            if self._over.wait(max(0.0, begin_s + number * PERIOD_S - time.monotonic())):
                break
            threads = [thread for thread in threads if thread.is_alive()]
            threads.append(threading.Thread(target=self._ask, name="request"))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _ask(self) -> None:
        began_s = time.monotonic()
        app = why = ""
        connection = http.client.HTTPConnection(self._address, timeout=DEADLINE_S)
        try:
            connection.request("GET", self._path)
            answer = connection.getresponse()
            app = answer.read().decode(errors="replace").strip()
            if answer.status != 200:
                why = f"status {answer.status}: {app[:80]}"
        except (OSError, http.client.HTTPException) as error:
            why = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        self._asked.append(Asked(began_s, time.monotonic() - began_s, app, why))
