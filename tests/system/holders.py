"""Who has a floating address, as the network sees it, looked at all the while.

    with Holders(nodes, address) as holders:
        ...                             # kill, unplug and reboot them
    assert not holders.twice, holders.told()

A node has it when its kernel does, read from outside, and its network cable is in: what a node
without a network believes of itself reaches nobody.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.system.node import Node

LOOK_S: Final = 0.02
_SEEK_S: Final = 0.2
"""How often to look for the first process of a node that is off: that costs more than a look."""


@dataclass(frozen=True, slots=True)
class Held:
    """From `at_s` on, by time.monotonic(), these nodes had it."""

    at_s: float
    names: frozenset[str]


class Holders:
    """Looks every 20 ms while entered, and keeps every change."""

    def __init__(self, nodes: Sequence[Node], address: str) -> None:
        self._kernels = [_Kernel(node, address) for node in nodes]
        self._changes: list[Held] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holders")

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def now(self) -> frozenset[str]:
        """The names of the nodes that have it."""
        return self._changes[-1].names

    @property
    def changes(self) -> list[Held]:
        return self._changes[:]

    @property
    def twice(self) -> list[Held]:
        """When more than one had it."""
        return [held for held in self.changes if len(held.names) > 1]

    @property
    def moves(self) -> list[str]:
        """Those that had it, one after the other."""
        named = [name for held in self.changes for name in sorted(held.names)]
        return [name for name, before in zip(named, ["", *named], strict=False) if name != before]

    def told(self) -> str:
        """How it went, for the message of an assertion."""
        begin_s = self._changes[0].at_s
        each = (f"{h.at_s - begin_s:.2f}: {' and '.join(sorted(h.names))}" for h in self._changes)
        return "; ".join(each)

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        names = frozenset(kernel.name for kernel in self._kernels if kernel.has_it())
        if not self._changes or names != self.now:
            self._changes.append(Held(time.monotonic(), names))


class _Kernel:
    """A node's kernel, of which the address is asked."""

    def __init__(self, node: Node, address: str) -> None:
        self.name = node.name
        self._node = node
        self._line = f"|-- {address}\n"
        self._first: int | None = None
        self._sought_s = -_SEEK_S

    def has_it(self) -> bool:
        if self._first is None and time.monotonic() - self._sought_s >= _SEEK_S:
            self._first = self._node.first_process
            self._sought_s = time.monotonic()
        if self._first is None:
            return False
        with contextlib.suppress(OSError):
            if self._line in Path(f"/proc/{self._first}/net/fib_trie").read_text():
                return self._node.is_plugged_in
            return False
        self._first = None
        return False
