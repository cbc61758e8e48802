"""The directory hears what is applied as soon as it is, and nothing while nothing changes."""

import threading
from collections.abc import Iterator

import pytest

from secretary.core.errors import StoreUnavailable
from secretary.renderer.herald import Herald
from tests.waiting import wait_for


class Board:
    """Keeps what it is told; `away` makes it fail."""

    ttl_s = 1

    def __init__(self) -> None:
        self.posted: list[bytes] = []
        self.renewed = 0
        self.lost = False
        self.ended = ""
        self.away = threading.Event()

    def _answer(self) -> None:
        if self.away.is_set():
            raise StoreUnavailable("etcd away")

    def post(self, value: bytes) -> None:
        self._answer()
        self.posted.append(value)

    def renew(self) -> bool:
        self._answer()
        self.renewed += 1
        lost, self.lost = self.lost, False
        return not lost

    def orphan(self) -> None:
        self.ended = "orphaned"

    def close(self) -> None:
        self.ended = "closed"


class Word:
    """What there is to say."""

    said: bytes | None = None

    def __call__(self) -> bytes | None:
        return self.said


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def word() -> Word:
    return Word()


@pytest.fixture
def herald(board: Board, word: Word) -> Iterator[Herald]:
    herald = Herald(board, word)
    herald.start()
    yield herald
    herald.stop()


def test_what_is_new_is_said_once(herald: Herald, board: Board, word: Word) -> None:
    herald.tell()
    word.said = b"1"
    herald.tell()
    wait_for(lambda: board.posted == [b"1"])
    herald.tell()
    word.said = b"2"
    herald.tell()
    wait_for(lambda: board.posted == [b"1", b"2"])


def test_while_nothing_is_new_the_lease_is_renewed(
    herald: Herald, board: Board, word: Word
) -> None:
    word.said = b"1"
    herald.tell()
    wait_for(lambda: board.renewed >= 2)
    assert board.posted == [b"1"]


def test_what_could_not_be_said_is_said_when_etcd_is_back(
    herald: Herald, board: Board, word: Word
) -> None:
    board.away.set()
    word.said = b"1"
    herald.tell()
    wait_for(lambda: herald.trouble == "etcd away")
    board.away.clear()
    wait_for(lambda: board.posted == [b"1"] and herald.trouble is None)


@pytest.mark.parametrize(("keep", "ended"), [(False, "closed"), (True, "orphaned")])
def test_its_word_is_taken_back_at_the_end_unless_somebody_comes_next(
    herald: Herald, board: Board, keep: bool, ended: str
) -> None:
    herald.stop(keep=keep)
    assert board.ended == ended


def test_an_end_while_etcd_is_away_is_quick(herald: Herald, board: Board, word: Word) -> None:
    board.away.set()
    word.said = b"1"
    herald.tell()
    wait_for(lambda: herald.trouble)
    herald.stop()
    assert board.ended == "closed"


def test_a_word_that_was_lost_is_said_anew_as_it_is_by_then(
    herald: Herald, board: Board, word: Word
) -> None:
    """Not as it was: etcd may have been made anew, and count from the beginning."""
    word.said = b"1"
    herald.tell()
    wait_for(lambda: board.posted == [b"1"])
    word.said = b"0"
    board.lost = True
    wait_for(lambda: board.posted == [b"1", b"0"])


def test_whether_the_word_still_stands_can_be_looked_at_now(
    herald: Herald, board: Board, word: Word, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Board, "ttl_s", 3600)
    word.said = b"1"
    herald.tell()
    wait_for(lambda: board.posted == [b"1"])
    board.lost = True
    wait_for(lambda: (herald.look(), board.posted == [b"1", b"1"])[1])  # type: ignore[func-returns-value]
