"""Records that change all the time, and what a file made of them holds at each revision."""

import random
import threading
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Self

from tests.records import Records

CHANGES_PER_S: Final = 200
TEMPLATE: Final = """\
# revision {{ revision }}
{% for instance in services.web %}
server {{ instance.addr }} weight={{ instance.weight }};
{% endfor %}
# end
"""


class Stream:
    """Changes to the records at `addrs` all the time while entered; the same for one `seed`."""

    def __init__(self, records: Records, addrs: Sequence[str], seed: int) -> None:
        self._records = records
        self._addrs = addrs
        self._chance = random.Random(seed)  # noqa: S311
        self._there = dict.fromkeys(addrs, 100)
        self._texts = [(records.put(*addrs), self._text())]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def is_whole(self, written: str) -> bool:
        """Whether it is what TEMPLATE makes of the records at the revision that it names."""
        head, _, text = written.partition("\n")
        revision = int(head.removeprefix("# revision "))
        texts = self._texts[:]
        place = bisect_right(texts, revision, key=lambda entry: entry[0])
        return place > 0 and text == texts[place - 1][1]

    @property
    def last(self) -> str:
        """What it holds in the end, the revision apart."""
        return self._texts[-1][1]

    def _run(self) -> None:
        while not self._over.wait(1 / CHANGES_PER_S):
            addr = self._chance.choice(self._addrs)
            self._there[addr] = self._there[addr] % 1000 + 1
            revision = self._records.put(addr, weight=self._there[addr])
            self._texts.append((revision, self._text()))

    def _text(self) -> str:
        servers = (f"server {addr} weight={weight};\n" for addr, weight in self._there.items())
        return f"{''.join(servers)}# end\n"
