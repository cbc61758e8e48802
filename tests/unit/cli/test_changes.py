"""What happened between two snapshots, for people and for programs."""

import json

from secretary.cli.changes import Change, Event, as_json, as_line, changes
from secretary.core.instance import State
from secretary.core.snapshot import Snapshot
from tests.unit.cli.records import SINCE, directory, record

WEB, HEAVY, DB = record("web"), record("web", weight=7), record("db")


def events(before: Snapshot, after: Snapshot, name: str | None = None) -> list[tuple[Event, str]]:
    return [(change.event, change.key) for change in changes(before, after, name)]


def test_a_record_comes_changes_and_goes() -> None:
    key = "/services/web/10.0.0.5"
    assert events(Snapshot(), directory(WEB)) == [(Event.UP, key)]
    assert events(directory(WEB), directory(HEAVY)) == [(Event.CHANGED, key)]
    assert events(directory(WEB), directory()) == [(Event.GONE, key)]
    assert events(directory(WEB), directory(WEB)) == []


def test_a_record_that_went_is_shown_as_it_last_was() -> None:
    assert next(changes(directory(HEAVY), directory(), None)).instance == HEAVY


def test_only_the_service_asked_for_is_told_of_and_keys_are_in_order() -> None:
    both = directory(WEB, DB)
    assert [key for _, key in events(Snapshot(), both)] == sorted(both.instances)
    assert events(Snapshot(), both, "db") == [(Event.UP, "/services/db/10.0.0.5")]


def test_a_line_says_when_what_and_where() -> None:
    draining = record(weight=5, tags=("blue",), meta={"zone": "a"}, state=State.DRAINING)
    assert as_line(Change(Event.CHANGED, "k", draining), SINCE) == (
        "02:00:00Z changed web 10.0.0.5:8080 draining weight=5 blue zone=a"
    )
    assert as_line(Change(Event.GONE, "k", draining), SINCE) == (
        "02:00:00Z gone    web 10.0.0.5:8080"
    )


def test_json_is_one_line_with_event_key_and_record() -> None:
    line = as_json(Change(Event.UP, "/services/web/10.0.0.5", WEB))
    assert "\n" not in line
    told = json.loads(line)
    assert list(told) == ["event", "key", "record"]
    assert (told["event"], told["record"]["addr"]) == ("up", "10.0.0.5:8080")
