"""Whom to ask Docker for, in which order, and what is being asked: decided, not done.

An answer may tell of a time before what has been heard of since: then it is void, and the
question is put once more.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Asked:
    """The question that is waiting for its answer. `ref` is None when it is for all."""

    number: int
    ref: str | None
    since_s: float
    is_void: bool = False


class Questions:
    """One is asked at a time. `asked` is that one, None while there is none."""

    def __init__(self) -> None:
        self.asked: Asked | None = None
        self._number = 0
        self._pending: dict[str, None] = {}
        self._faulty: dict[str, str] = {}
        """What has been said of those that could not be asked for or read."""

    def __bool__(self) -> bool:
        """Whether somebody is still to be asked for."""
        return bool(self._pending)

    def add(self, refs: Iterable[str]) -> None:
        self._pending.update(dict.fromkeys(refs))

    def drop(self, ref: str) -> None:
        """Ask no more for what has ended."""
        self._pending.pop(ref, None)

    def forget(self) -> None:
        """Begin anew: what is being asked, and what was to be, is of no use."""
        self._pending.clear()
        self.asked = None

    def add_all(self, refs: Collection[str]) -> None:
        """Have all of these asked for, those last that made trouble before."""
        self._faulty = {ref: said for ref, said in self._faulty.items() if ref in refs}
        in_order = sorted(refs, key=lambda ref: ref in self._faulty)
        self._pending = dict.fromkeys([*in_order, *self._pending])

    def next(self) -> str:
        """Take the first of those that are to be asked for."""
        ref = next(iter(self._pending))
        del self._pending[ref]
        return ref

    def ask(self, ref: str | None, now_s: float) -> int:
        """Note that this is being asked; return the question's number."""
        self._number += 1
        self.asked = Asked(self._number, ref, now_s)
        return self._number

    def avoid(self) -> None:
        """Something has ended: what is being asked may be answered from the time before."""
        if self.asked is not None:
            self.asked.is_void = True

    def answered(self, number: int) -> Asked | None:
        """Return what was asked under that number; None when nobody waits for it any more."""
        asked = self.asked
        if asked is None or asked.number != number:
            return None
        self.asked = None
        return asked

    def succeeded(self, ref: str) -> None:
        self._faulty.pop(ref, None)

    def failed(self, ref: str, reason: str, *, is_last: bool) -> bool:
        """Note why one could not be asked for; return whether that is news.

        Unless this is the last try, it is asked for again first: the connection may have been
        an old one.
        """
        if ref not in self._faulty and not is_last:
            self._faulty[ref] = ""
            self._pending[ref] = None
            return False
        is_news = self._faulty.get(ref) != reason
        self._faulty[ref] = reason
        return is_news
