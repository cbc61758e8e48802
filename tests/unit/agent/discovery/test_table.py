"""What the table of containers makes of time; what events do to it is held with the roster."""

from dataclasses import replace

import pytest

from secretary.agent.discovery.docker_events import Event
from secretary.agent.discovery.inspected import Inspected
from secretary.agent.discovery.table import NOTHING, Table
from secretary.core.container import Container, Health

SEEN = Inspected(
    Container("4" * 64, "web", "app:1", "2026-11-21T13:09:04.346066834Z"),
    started_ns=100,
    serves=True,
    health=Health.NONE,
    stop_signal=15,
    stop_timeout_s=None,
    network_of=None,
)


def table_with(seen: Inspected) -> Table:
    table = Table()
    assert table.take(seen, 0.0).changed
    return table


def signal(number: int) -> Event:
    return Event("kill", SEEN.id, 200, "web", str(number))


@pytest.mark.parametrize(("stop_timeout_s", "patience_s"), [(None, 900), (10, 900), (600, 1200)])
def test_a_container_that_goes_on_after_its_stop_signal_comes_back_in_the_end(
    stop_timeout_s: int | None, patience_s: float
) -> None:
    """Not every signal ends a container, and nobody may be kept out for ever."""
    seen = replace(SEEN, stop_timeout_s=stop_timeout_s)
    table = table_with(seen)
    assert table.down(signal(15), 1000.0).reason == "killed by SIGTERM"
    assert table.take(seen, 1000.0 + patience_s - 0.1) == NOTHING
    back = table.take(seen, 1000.0 + patience_s)
    assert (back.changed, back.stays) == (True, True)
    assert table.running[0].life == 1


def test_another_start_ends_the_leaving() -> None:
    table = table_with(SEEN)
    table.down(signal(15), 0.0)
    again = replace(
        SEEN, started_ns=300, container=replace(SEEN.container, started_at="2026-11-21T14:00:00Z")
    )
    assert table.take(again, 1.0).changed
    assert table.running[0].life == 0


def test_lives_are_counted_on() -> None:
    table = table_with(SEEN)
    for life in (1, 2, 3):
        table.take(replace(SEEN, serves=False), 0.0)
        table.take(SEEN, 0.0)
        assert table.running[0].life == life


def test_a_signal_that_is_heard_of_before_its_container_counts_at_the_first_look() -> None:
    table = Table()
    assert table.down(signal(15), 0.0) == NOTHING
    assert table.take(SEEN, 0.0) == NOTHING
    assert table.running == ()


def test_a_signal_for_the_life_before_does_not() -> None:
    table = Table()
    table.down(replace(signal(15), at_ns=50), 0.0)
    assert table.take(SEEN, 0.0).changed


def test_a_word_of_health_that_is_not_known_changes_nothing() -> None:
    table = table_with(SEEN)
    event = Event("health_status", SEEN.id, 200, "web", "splendid")
    assert table.told_health(event) == NOTHING


def test_nothing_is_remembered_of_those_that_are_gone() -> None:
    """An agent runs for years on hosts where containers come and go all day."""
    table = table_with(SEEN)
    table.down(signal(15), 0.0)
    table.down(replace(signal(15), container="5" * 64), 0.0)
    table.keep_only(set())
    memories = (table._leaving, table._lives, table._killed, table._serving)
    assert not any(memories)
