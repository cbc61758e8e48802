"""What trouble with Docker does to the roster: nothing that serves is lost, nothing is for good."""

import logging

import pytest

from secretary.agent.discovery import roster as module
from secretary.agent.discovery.roster import Roster
from secretary.core.errors import DockerAway, DockerError, DockerRefused
from tests.fakes.docker import FakeDocker
from tests.unit.agent.discovery.watched import JOIN_S, Watched, held
from tests.waiting import wait_for


def test_what_is_known_is_kept_while_docker_is_away(
    docker: FakeDocker, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    docker.run("web")
    watched.start()
    docker.go_away()
    wait_for(lambda: watched.roster.errors >= 3)
    assert watched.names == ["web"]
    docker.run("db")
    docker.come_back()
    watched.wait_for_names("db", "web")
    wait_for(watched.is_up_to_date)
    assert [each.message for each in caplog.records] == [
        "Docker at fake does not answer: the events ended; keeping what is known",
        "Docker at fake answers again",
    ]


def test_what_ended_unseen_goes_with_the_next_list(docker: FakeDocker, watched: Watched) -> None:
    docker.run("web")
    docker.run("db")
    watched.start()
    docker.is_silent = True
    docker.kill("web")
    docker.is_silent = False
    docker.break_streams()
    watched.wait_for_names("db")


def test_everything_is_asked_for_now_and_then(docker: FakeDocker) -> None:
    watched = Watched(docker, resync_s=0.05)
    docker.run("web")
    watched.start()
    docker.is_silent = True
    docker.kill("web")
    docker.run("db")
    watched.wait_for_names("db")
    watched.roster.stop(JOIN_S)
    assert docker.calls.count("events") == 1


def test_the_stream_is_open_before_the_list_is_asked_for(
    docker: FakeDocker, watched: Watched
) -> None:
    docker.run("web")
    watched.start()
    assert docker.calls[:2] == ["events", "list"]


def test_a_stream_that_breaks_during_a_burst_loses_nothing(
    docker: FakeDocker, watched: Watched
) -> None:
    watched.start()
    for number in range(20):
        docker.run(f"new-{number:02}")
        if number % 5 == 2:
            docker.break_streams()
    docker.kill("new-00")
    wait_for(lambda: watched.names == [f"new-{number:02}" for number in range(1, 20)])


def test_a_daemon_that_fails_only_when_asked_has_its_stream_opened_anew(
    docker: FakeDocker, watched: Watched
) -> None:
    docker.run("web")
    watched.start()
    (stream,) = docker.streams
    docker.away = DockerAway("Docker at fake does not answer: nothing came within 5 s")
    docker.tell("update", "web")
    wait_for(lambda: stream.is_closed)
    assert watched.names == ["web"]
    docker.come_back()
    wait_for(watched.is_up_to_date)


def test_one_container_that_cannot_be_read_stops_no_other(
    docker: FakeDocker, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    bad = docker.run("bad")
    docker.run("web")
    docker.faults[bad] = DockerError("container bad: it cannot be read")
    watched.start()
    assert watched.names == ["web"]
    docker.break_streams()
    wait_for(lambda: docker.calls.count("list") == 2)
    watched.settle()
    said = [each.message for each in caplog.records if "bad" in each.message]
    assert said == ["container bad: it cannot be read; the others go on"]
    del docker.faults[bad]
    docker.tell("start", "bad")
    watched.wait_for_names("bad", "web")


def test_one_container_that_hangs_stops_no_other(docker: FakeDocker, watched: Watched) -> None:
    """Docker answers `version`, so it is not away; the container is asked for once more."""
    hung = docker.run("hung")
    docker.run("web")
    docker.faults[hung] = DockerAway("Docker at fake does not answer: nothing came within 5 s")
    watched.start()
    assert watched.names == ["web"]
    assert docker.calls.count(f"inspect {hung}") == 2


def test_an_answer_that_does_not_end_is_no_answer(
    docker: FakeDocker,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It may drip in for ever: it is cut off, and concerns that container alone."""
    monkeypatch.setattr(module, "LONGEST_ANSWER_S", 0.1)
    docker.run("web")
    watched.start()
    held(watched)
    wait_for(lambda: "no answer was whole after 0.1 s; the others go on" in caplog.text)
    assert docker.is_aborted
    assert (watched.names, watched.roster.away) == (["web"], None)
    docker.answering.set()
    docker.tell("start", "zy-held")
    watched.wait_for_names("web", "zy-held")


def test_everything_is_asked_for_now_and_then_even_without_events(docker: FakeDocker) -> None:
    """A filter before the socket may let the list through and no events."""
    watched = Watched(docker, resync_s=0.05)
    watched.start()
    docker.refused = DockerRefused("Docker at fake: GET /events is refused (403)")
    docker.break_streams()
    wait_for(lambda: watched.roster.away == str(docker.refused))
    docker.run("web")
    watched.wait_for_names("web")
    assert watched.roster.away is not None
    watched.roster.stop(JOIN_S)


def test_what_must_be_allowed_is_found_out_at_once(docker: FakeDocker, watched: Watched) -> None:
    docker.refused = DockerRefused("Docker at fake: GET /events is refused (403)")
    for ask in (watched.roster.knock, watched.roster.look):
        with pytest.raises(DockerRefused):
            ask()


def test_an_answer_from_before_an_end_is_void(docker: FakeDocker, watched: Watched) -> None:
    """It was on its way when the container ended, and tells that it serves."""
    watched.start()
    docker.run("web")
    watched.wait_for_names("web")
    while docker.answered.acquire(blocking=False):
        pass
    docker.delivering.clear()
    docker.tell("update", "web")
    assert docker.answered.acquire(timeout=5)
    docker.end("web")
    watched.wait_for_names()
    docker.delivering.set()
    watched.settle()
    assert watched.names == []
    assert all("web" not in names for names in watched.tells[-2:])


def test_a_refusal_is_waited_out_like_an_absence(
    docker: FakeDocker, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    docker.run("web")
    watched.start()
    docker.away = DockerRefused("Docker at fake: GET /events is refused (403)")
    docker.break_streams()
    wait_for(lambda: watched.roster.errors >= 3)
    assert watched.names == ["web"]
    assert sum("403" in each.message for each in caplog.records) == 1
    docker.come_back()
    wait_for(watched.is_up_to_date)


def test_the_unforeseen_is_counted_and_followed_by_a_list(
    docker: FakeDocker, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    watched.start()
    id_ = docker.run("web")
    watched.wait_for_names("web")
    docker.faults[id_] = RuntimeError("a bug")
    docker.tell("update", "web")
    wait_for(lambda: watched.roster.errors)
    del docker.faults[id_]
    docker.kill("web")
    watched.wait_for_names()
    wait_for(lambda: docker.calls.count("list") >= 2)


def test_a_change_that_could_not_be_told_is_told_later(
    docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    told: list[str] = []

    def tell() -> None:
        told.append("")
        if len(told) == 1:
            raise RuntimeError("a bug")

    roster = Roster(docker, tell, lambda _: None)
    roster.start()
    docker.run("web")
    wait_for(lambda: len(told) > 1)
    roster.stop(JOIN_S)
