"""Waiting for a condition, which is the only thing tests wait for."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE_S = 0.02
_LOOK_S = 0.2


def wait_for(condition: Callable[[], T | None], *, timeout_s: float = 10.0, what: str = "") -> T:
    """Ask `condition` until its answer is true, and return that answer.

    `what` finishes the sentence "after 10 s it was not true that …"; without it the name of
    the condition does. Fails with AssertionError after `timeout_s`;
    what `condition` raises is not caught.
    """
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            said = what or getattr(condition, "__name__", repr(condition)).replace("_", " ")
            raise AssertionError(
                f"after {timeout_s:g} s it was not true that {said}; the last answer was {answer!r}"
            )
        pause.wait(_PAUSE_S)


def stays(condition: Callable[[], bool], *, for_s: float) -> None:
    """Hold that `condition` is true now and at every look during `for_s`.

    For what must not happen, where no other event says that it would have by now.
    """
    end = time.monotonic() + for_s
    pause = threading.Event()
    while time.monotonic() < end:
        assert condition()
        pause.wait(_LOOK_S)
