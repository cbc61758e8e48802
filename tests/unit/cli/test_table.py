"""A snapshot reads as an aligned table, or as JSON with keys."""

import json
from datetime import timedelta

import pytest

from secretary.cli.table import CLEAR, age, as_json, as_screen, as_table, rejections
from secretary.core.instance import State
from secretary.core.snapshot import Snapshot
from tests.unit.cli.records import SINCE, directory, record

TWO = directory(
    record("web", "10.0.0.5", tags=("blue", "new"), meta={"zone": "a", "rack": "7"}),
    record("db", "10.0.0.17", weight=5, state=State.DRAINING),
)
NOW = SINCE + timedelta(minutes=3, seconds=7)


def test_the_table_is_aligned_and_sorted() -> None:
    assert as_table(TWO, None, NOW).splitlines() == [
        "NAME  ADDRESS         WEIGHT  STATE     SINCE  HOST    TAGS      META",
        "db    10.0.0.17:8080  5       draining  3m     node-1  -         -",
        "web   10.0.0.5:8080   100     up        3m     node-1  blue,new  zone=a,rack=7",
    ]


def test_a_name_chooses_one_service() -> None:
    assert len(as_table(TWO, "db", NOW).splitlines()) == 2
    assert [found["name"] for found in json.loads(as_json(TWO, "db"))] == ["db"]


def test_nothing_is_a_head_alone_and_an_empty_array() -> None:
    assert as_table(Snapshot(), None, NOW).split()[0] == "NAME"
    assert as_json(Snapshot(), None) == "[]"


def test_json_holds_the_whole_record_with_its_key() -> None:
    db, web = json.loads(as_json(TWO, None))
    assert db["key"] == "/services/db/10.0.0.17"
    assert list(web) == [
        "key", "host", "ipv4_addr", "port", "addr", "name", "id", "weight", "tags", "meta",
        "state", "since", "schema",
    ]  # fmt: skip
    assert web["since"] == "2026-11-21T02:00:00Z"


def test_a_screen_begins_at_the_top_and_says_its_time() -> None:
    screen = as_screen(TWO, None, NOW)
    assert screen.startswith(CLEAR + "NAME")
    assert screen.endswith("as of 02:03:07Z")


def test_a_bad_record_is_told_once_for_each_reason_and_cannot_move_the_cursor() -> None:
    before = Snapshot(rejected={"/services/a/1": "old"})
    after = Snapshot(rejected={"/services/a/1": "old", "/services/b/\x1b[2J": "bad\n"})
    assert rejections(before, after, "/services/") == ["/services/b/\\x1b[2J: bad\\n"]
    assert rejections(Snapshot(), after, "/services/a/") == ["/services/a/1: old"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (2e5, "2d")],
)
def test_an_age_is_given_in_its_largest_unit(seconds: float, shown: str) -> None:
    assert age(timedelta(seconds=seconds)) == shown
