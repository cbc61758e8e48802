"""Puts questions to Docker, one at a time and in a thread of its own.

An answer may take seconds, or never come: one container that hangs in the daemon must not keep
the end of another from being acted on.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came of question `number`: a value, or the error in its place."""

    number: int
    value: T | None
    error: Exception | None


Put: TypeAlias = Callable[[Answer[T]], None]


class Asker(Generic[T]):
    """`put` is called in its thread, with one answer for each question."""

    def __init__(self, put: Put[T]) -> None:
        self._put = put
        self._questions: queue.SimpleQueue[tuple[int, Callable[[], T]] | None]
        self._thread: threading.Thread
        self._renew()

    def start(self) -> None:
        self._thread.start()

    def ask(self, number: int, question: Callable[[], T]) -> None:
        """Have it asked as soon as the one before is answered."""
        self._questions.put((number, question))

    def give_up(self) -> None:
        """Wait no longer for what is being asked: another thread takes its place."""
        self._questions.put(None)
        self._renew()
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ask nothing more, and end within `timeout_s`; may be called twice."""
        self._questions.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _renew(self) -> None:
        self._questions = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(self._questions,), name="docker asks", daemon=True
        )

    def _run(self, questions: "queue.SimpleQueue[tuple[int, Callable[[], T]] | None]") -> None:
        while (asked := questions.get()) is not None:
            number, question = asked
            try:
                answer = Answer(number, question(), None)
            except Exception as error:
                answer = Answer(number, None, error)
            self._put(answer)
