"""Droplets' loads are asked for no oftener than DigitalOcean allows, each in its turn."""

import threading

import pytest

from secretary.core.errors import CloudAway, CloudBusy
from secretary.scaler.providers.digitalocean_load import FRESH_S, KNOWN_S, PER_MINUTE, Load


class Asked:
    """Answers with a load of 50, or with what stands for an id."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.ids: list[str] = []
        self.instead: dict[str, Exception | float | None] = {}
        self.is_slow = False
        """But for the first answer."""
        self._lock = threading.Lock()

    def __call__(self, id_: str) -> float | None:
        with self._lock:
            self.ids.append(id_)
            is_first = len(self.ids) == 1
        if self.is_slow and not is_first:
            threading.Event().wait(0.05)
        answer = self.instead.get(id_, 50.0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def since(self) -> list[str]:
        ids, self.ids = self.ids, []
        return sorted(ids)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def load(asked: Asked) -> Load:
    return Load(lambda: asked.now_s)


def test_an_answer_is_good_for_a_minute(load: Load, asked: Asked) -> None:
    assert load.of(["1", "2"], asked) == {"1": 50.0, "2": 50.0}
    assert asked.since() == ["1", "2"]
    asked.now_s += FRESH_S - 1
    assert load.of(["1"], asked) == {"1": 50.0}
    assert load.of(["1", "2", "3"], asked) == {"1": 50.0, "2": 50.0, "3": 50.0}
    assert asked.since() == ["3"]
    asked.now_s += 1
    load.of(["1", "2", "3"], asked)
    assert asked.since() == ["1", "2"]


def test_nobody_is_asked_about_nothing(load: Load, asked: Asked) -> None:
    assert load.of([], asked) == {}
    assert asked.since() == []


def test_what_is_not_known_is_left_out_and_not_asked_at_once_again(
    load: Load, asked: Asked
) -> None:
    asked.instead["2"] = None
    assert load.of(["1", "2"], asked) == {"1": 50.0}
    assert load.of(["1", "2"], asked) == {"1": 50.0}
    assert asked.since() == ["1", "2"]


def test_many_are_asked_in_turn_the_longest_unknown_first(load: Load, asked: Asked) -> None:
    ids = [f"{number:03}" for number in range(2 * PER_MINUTE)]
    assert sorted(load.of(ids, asked)) == ids[:PER_MINUTE] == asked.since()
    assert len(load.of(ids, asked)) == PER_MINUTE
    assert asked.since() == []
    asked.now_s += 60
    assert sorted(load.of(ids, asked)) == ids
    assert asked.since() == ids[PER_MINUTE:]
    asked.now_s += 60
    assert sorted(load.of(ids, asked)) == ids
    assert asked.since() == ids[:PER_MINUTE]


def test_what_is_too_old_is_no_longer_told(load: Load, asked: Asked) -> None:
    assert load.of(["1", "2"], asked) == {"1": 50.0, "2": 50.0}
    asked.now_s += KNOWN_S + 1
    asked.instead["1"] = CloudAway("gone")
    assert load.of(["1", "2"], asked) == {"2": 50.0}


def test_one_that_is_not_answered_for_is_left_out(load: Load, asked: Asked) -> None:
    asked.instead["2"] = CloudAway("no answer")
    assert load.of(["1", "2"], asked) == {"1": 50.0}
    with pytest.raises(CloudAway, match="no answer"):
        load.of(["1", "2"], asked)


def test_a_limit_is_said_and_ends_the_asking(load: Load, asked: Asked) -> None:
    ids = [f"{number:03}" for number in range(PER_MINUTE)]
    for id_ in ids:
        asked.instead[id_] = CloudBusy("too often", 7.0)
    asked.is_slow = True
    with pytest.raises(CloudBusy) as raised:
        load.of(ids, asked)
    assert raised.value.retry_after_s == 7.0
    assert len(asked.ids) < len(ids)
