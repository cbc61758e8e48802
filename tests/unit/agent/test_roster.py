"""The roster of containers that serve: what each event does to it, and what trouble does not."""

import logging
from collections.abc import Iterator

import pytest

from secretary.agent.discovery import roster as module
from secretary.agent.discovery.roster import Roster
from secretary.core.container import Health
from secretary.core.errors import DockerAway, DockerError, DockerRefused
from tests.fakes.docker import FakeDocker
from tests.waiting import wait_for

JOIN_S = 5.0


class Watched:
    """A roster over a fake Docker, and what it told."""

    def __init__(self, docker: FakeDocker, resync_s: float = 1000.0) -> None:
        self.docker = docker
        self.tells: list[list[str]] = []
        self.health_tells: list[str] = []
        self.roster = Roster(docker, self._tell, self.health_tells.append, resync_s)

    def _tell(self) -> None:
        self.tells.append(self.names)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.roster.running]

    def life(self, name: str) -> int:
        return next(each.life for each in self.roster.running if each.name == name)

    def is_up_to_date(self) -> bool:
        return self.roster.seen and self.roster.away is None

    def start(self) -> None:
        self.roster.start()
        wait_for(self.is_up_to_date)

    def wait_for_names(self, *names: str) -> None:
        wait_for(lambda: self.names == list(names), what=f"{names} serve")

    def settle(self) -> None:
        """Wait until everything told so far has been acted on."""
        self.docker.run("zz-last")
        wait_for(lambda: "zz-last" in self.names)
        self.docker.remove("zz-last")
        wait_for(lambda: "zz-last" not in self.names)


@pytest.fixture
def docker() -> FakeDocker:
    return FakeDocker()


@pytest.fixture
def watched(docker: FakeDocker) -> Iterator[Watched]:
    watched = Watched(docker)
    yield watched
    docker.answering.set()
    watched.roster.stop(JOIN_S)
    assert docker.is_closed


def held(watched: Watched) -> None:
    """Bring the roster to wait for the answer about a container, so that events pile up."""
    while watched.docker.asked.acquire(blocking=False):
        pass
    watched.docker.answering.clear()
    watched.docker.run("zy-held")
    assert watched.docker.asked.acquire(timeout=5)


def let_go(watched: Watched) -> None:
    """Answer, after all that has happened meanwhile has come."""
    wait_for(lambda: all(stream.is_read for stream in watched.docker.streams))
    watched.docker.answering.set()


def test_what_runs_at_the_start_is_known_after_one_look(
    docker: FakeDocker, watched: Watched
) -> None:
    docker.run("web")
    docker.run("db")
    watched.roster.look()
    assert watched.names == ["db", "web"]
    assert (watched.roster.seen, watched.roster.away, watched.tells) == (True, None, [])


def test_a_list_is_told_whether_or_not_anything_has_changed(
    docker: FakeDocker,
) -> None:
    """What else a service stands on may have changed: the address of this host, for one."""
    watched = Watched(docker, resync_s=0.05)
    docker.run("web")
    watched.start()
    wait_for(lambda: len(watched.tells) >= 3)
    watched.roster.stop(JOIN_S)
    assert set(map(tuple, watched.tells)) == {("web",)}


def test_a_look_fails_while_docker_is_away(docker: FakeDocker, watched: Watched) -> None:
    docker.go_away()
    with pytest.raises(DockerAway):
        watched.roster.look()
    assert not watched.roster.seen
    assert watched.roster.away == str(docker.away)


def test_a_container_that_starts_is_told(docker: FakeDocker, watched: Watched) -> None:
    watched.start()
    docker.run("web")
    watched.wait_for_names("web")
    assert watched.tells[-1] == ["web"]


@pytest.mark.parametrize(
    ("happening", "said"),
    [
        ("kill", "container web: killed by SIGKILL"),
        ("stop", "container web: killed by SIGTERM"),
        ("pause", "container web: paused"),
        ("end", "container web: ended with status 0"),
        ("remove", "container web: killed by SIGKILL"),
    ],
)
def test_what_ends_a_container_takes_it_out_without_a_question(
    docker: FakeDocker,
    watched: Watched,
    caplog: pytest.LogCaptureFixture,
    happening: str,
    said: str,
) -> None:
    caplog.set_level(logging.INFO)
    docker.run("web")
    watched.start()
    docker.calls.clear()
    getattr(docker, happening)("web")
    watched.wait_for_names()
    wait_for(lambda: watched.tells[-1:] == [[]])
    assert docker.calls == []
    assert [each.message for each in caplog.records if each.levelno == logging.INFO] == [said]


@pytest.mark.parametrize("happening", ["stop", "destroy"])
def test_each_word_of_an_end_is_enough(
    docker: FakeDocker, watched: Watched, happening: str
) -> None:
    docker.run("web")
    watched.start()
    docker.tell(happening, "web")
    watched.wait_for_names()


def test_an_end_is_told_before_anybody_else_is_asked_about(
    docker: FakeDocker, watched: Watched
) -> None:
    """Fifty containers that start must not delay the end of another."""
    docker.run("web")
    watched.start()
    held(watched)
    for number in range(50):
        docker.run(f"new-{number}")
    docker.kill("web")
    watched.wait_for_names()
    assert watched.tells[-1] == []
    let_go(watched)
    wait_for(lambda: len(watched.names) == 51)


def test_containers_that_start_together_are_told_together(
    docker: FakeDocker, watched: Watched
) -> None:
    watched.start()
    held(watched)
    for number in range(50):
        docker.run(f"new-{number}")
    let_go(watched)
    wait_for(lambda: watched.tells and len(watched.tells[-1]) == 51)
    assert len(watched.tells) < 25


def test_other_signals_end_nothing(docker: FakeDocker, watched: Watched) -> None:
    docker.run("web", stop_signal=3)
    watched.start()
    for signal in (1, 10, 15):
        docker.kill("web", signal, ends=False)
    watched.settle()
    assert watched.names == ["web"]
    docker.kill("web", 3, ends=False)
    watched.wait_for_names()


def test_a_container_told_to_stop_stays_out_while_it_goes_on(
    docker: FakeDocker, watched: Watched
) -> None:
    docker.run("web")
    watched.start()
    docker.kill("web", 15, ends=False)
    watched.wait_for_names()
    docker.break_streams()
    wait_for(lambda: docker.calls.count("list") == 2)
    watched.settle()
    assert watched.names == []
    docker.end("web")
    docker.start("web")
    watched.wait_for_names("web")


def test_after_an_unpausing_it_is_another_life(docker: FakeDocker, watched: Watched) -> None:
    docker.run("web")
    watched.start()
    (before,) = watched.roster.running
    docker.pause("web")
    watched.wait_for_names()
    docker.unpause("web")
    watched.wait_for_names("web")
    (after,) = watched.roster.running
    assert (after.started_at, after.life) == (before.started_at, before.life + 1)
    assert after.incarnation != before.incarnation


def test_a_pause_and_its_end_at_once_are_another_life(docker: FakeDocker, watched: Watched) -> None:
    docker.run("web")
    watched.start()
    held(watched)
    docker.pause("web")
    docker.unpause("web")
    let_go(watched)
    wait_for(lambda: "web" in watched.names and watched.life("web") == 1)


def test_a_restart_is_another_life_however_it_is_seen(docker: FakeDocker, watched: Watched) -> None:
    """An end and a start in one batch, and an inspection that runs ahead of both."""
    docker.run("web")
    watched.start()
    (before,) = watched.roster.running
    held(watched)
    docker.end("web")
    docker.start("web")
    let_go(watched)
    wait_for(lambda: any(each.name == "web" and each != before for each in watched.roster.running))
    watched.settle()
    assert watched.life("web") == 0
    assert next(each for each in watched.roster.running if each.name == "web") != before


def test_a_start_and_an_end_in_one_batch_leave_nothing(
    docker: FakeDocker, watched: Watched
) -> None:
    watched.start()
    held(watched)
    id_ = docker.run("web")
    docker.end("web")
    let_go(watched)
    watched.settle()
    assert watched.names == ["zy-held"]
    assert f"inspect {id_}" not in docker.calls


def test_a_start_and_a_signal_in_one_batch_leave_it_out(
    docker: FakeDocker, watched: Watched
) -> None:
    """What the signal means is known only after the container has been asked for."""
    watched.start()
    held(watched)
    docker.run("web", stop_signal=3)
    docker.kill("web", 3, ends=False)
    docker.run("db", stop_signal=3)
    docker.kill("db", 15, ends=False)
    let_go(watched)
    watched.settle()
    assert watched.names == ["db", "zy-held"]


@pytest.mark.parametrize("happening", ["die", "stop", "pause", "kill"])
def test_the_late_news_of_a_life_before_harms_nobody(
    docker: FakeDocker, watched: Watched, happening: str
) -> None:
    docker.run("web")
    watched.start()
    docker.tell(happening, "web", "9", at_ns=docker.started_ns("web") - 1)
    watched.settle()
    assert watched.names == ["web"]
    assert all("web" in names for names in watched.tells)


def test_news_of_a_time_before_has_the_container_asked_for(
    docker: FakeDocker, watched: Watched
) -> None:
    """The host's clock may have been set back: then it is no news of a life before."""
    docker.run("web")
    watched.start()
    docker.end_unseen("web")
    docker.tell("die", "web", "0", at_ns=docker.started_ns("web") - 1)
    watched.wait_for_names()


def test_the_end_of_a_container_without_labels_is_no_news(
    docker: FakeDocker, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """Jobs come and go by the thousand."""
    caplog.set_level(logging.INFO)
    docker.run("job", labels={})
    watched.start()
    docker.end("job")
    watched.wait_for_names()
    assert "job" not in caplog.text


def test_a_change_of_networks_is_told(docker: FakeDocker, watched: Watched) -> None:
    docker.run("web")
    watched.start()
    docker.connect("web", "front", "10.9.0.2")
    wait_for(lambda: watched.roster.running[0].networks.get("front") == "10.9.0.2")
    docker.disconnect("web")
    wait_for(lambda: watched.roster.running[0].networks == {"front": "10.9.0.2"})


def test_a_container_is_known_by_its_new_name(docker: FakeDocker, watched: Watched) -> None:
    docker.run("web")
    watched.start()
    docker.rename("web", "web-old")
    watched.wait_for_names("web-old")


def test_an_inspection_that_finds_nothing_new_tells_nobody(
    docker: FakeDocker, watched: Watched
) -> None:
    docker.run("web")
    watched.start()
    docker.tell("update", "web")
    wait_for(lambda: docker.calls[-1].startswith("inspect"))
    watched.settle()
    assert ["web"] not in watched.tells[1:-1]


def test_health_is_kept_and_told_when_it_changes(docker: FakeDocker, watched: Watched) -> None:
    id_ = docker.run("web", health=Health.STARTING)
    watched.start()
    assert watched.roster.health(id_) is Health.STARTING
    docker.check_health("web", Health.HEALTHY)
    wait_for(lambda: watched.roster.health(id_) is Health.HEALTHY)
    docker.check_health("web", Health.HEALTHY)
    watched.settle()
    assert watched.health_tells == [id_]
    docker.is_silent = True
    docker.check_health("web", Health.UNHEALTHY)
    docker.is_silent = False
    docker.break_streams()
    wait_for(lambda: watched.roster.health(id_) is Health.UNHEALTHY)
    assert watched.health_tells == [id_, id_]


def test_health_is_not_known_of_what_is_gone_or_while_docker_is_away(
    docker: FakeDocker, watched: Watched
) -> None:
    id_ = docker.run("web", health=Health.HEALTHY)
    watched.start()
    docker.go_away()
    wait_for(lambda: watched.roster.away)
    assert watched.roster.health(id_) is None
    docker.come_back()
    wait_for(lambda: watched.roster.health(id_) is Health.HEALTHY)
    docker.remove("web")
    wait_for(lambda: watched.roster.health(id_) is None)


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
    docker: FakeDocker, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may drip in for ever; meanwhile what ends is taken out, and then all is asked anew."""
    monkeypatch.setattr(module, "LONGEST_ANSWER_S", 0.1)
    docker.run("web")
    watched.start()
    held(watched)
    wait_for(lambda: watched.roster.away)
    assert "no answer was whole after" in str(watched.roster.away)
    assert watched.names == ["web"]
    docker.answering.set()
    watched.wait_for_names("web", "zy-held")
    wait_for(watched.is_up_to_date)


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


def test_who_shares_a_network_is_asked_about_with_its_owner(
    docker: FakeDocker, watched: Watched
) -> None:
    owner = docker.run("owner")
    docker.run("guest", network_of=owner)
    watched.start()

    def networks() -> dict[str, str]:
        guest = next(each for each in watched.roster.running if each.name == "guest")
        return dict(guest.networks)

    assert networks()
    docker.connect("owner", "front", "10.9.0.2")
    wait_for(lambda: networks().get("front") == "10.9.0.2")
    docker.kill("owner")
    wait_for(lambda: networks() == {})
    docker.start("owner")
    watched.wait_for_names("guest", "owner")
    watched.settle()
    assert networks() == {}, "it is still in the network of the life before"


def test_a_stop_is_quick_and_may_come_twice(docker: FakeDocker) -> None:
    watched = Watched(docker)
    watched.start()
    watched.roster.stop(JOIN_S)
    watched.roster.stop(JOIN_S)


def test_a_stop_may_come_before_a_start(docker: FakeDocker) -> None:
    Watched(docker).roster.stop(JOIN_S)
    assert docker.is_closed


class TestOnlyThoseAskedFor:
    """With names given, Docker is asked about these alone."""

    def test_others_cause_no_question(self, docker: FakeDocker, watched: Watched) -> None:
        web = docker.run("web")
        docker.run("other")
        watched.roster.follow(frozenset({"web"}))
        watched.start()
        assert watched.names == ["web"]
        docker.calls.clear()
        docker.pause("other")
        docker.unpause("other")
        docker.run("another")
        docker.remove("other")
        docker.tell("update", "web")
        wait_for(lambda: docker.calls)
        docker.kill("web")
        watched.wait_for_names()
        assert docker.calls == ["inspect web"]
        assert watched.roster.health(web) is None

    def test_one_that_is_made_anew_is_found_by_its_name(
        self, docker: FakeDocker, watched: Watched
    ) -> None:
        first = docker.run("web")
        watched.roster.follow(frozenset({"web"}))
        watched.start()
        docker.remove("web")
        watched.wait_for_names()
        second = docker.run("web")
        watched.wait_for_names("web")
        assert watched.roster.running[0].id == second != first

    def test_one_that_is_renamed_makes_room(self, docker: FakeDocker, watched: Watched) -> None:
        docker.run("web")
        docker.run("next")
        watched.roster.follow(frozenset({"web"}))
        watched.start()
        docker.rename("web", "old")
        watched.wait_for_names()
        docker.rename("next", "web")
        watched.wait_for_names("web")

    def test_the_beginning_of_an_id_is_enough(self, docker: FakeDocker, watched: Watched) -> None:
        id_ = docker.run("web")
        watched.roster.follow(frozenset({id_[:12]}))
        watched.start()
        docker.pause("web")
        watched.wait_for_names()
        docker.unpause("web")
        watched.wait_for_names("web")

    def test_a_name_is_stronger_than_the_beginning_of_an_id(
        self, docker: FakeDocker, watched: Watched
    ) -> None:
        docker.run("db")
        watched.roster.follow(frozenset({"db"}))
        watched.start()
        docker.run("stranger", id="db" + 62 * "0")
        wait_for(lambda: docker.calls.count("inspect db") == 2)
        watched.roster.follow(None)
        watched.wait_for_names("db", "stranger")

    def test_the_owner_of_a_shared_network_matters_as_well(
        self, docker: FakeDocker, watched: Watched
    ) -> None:
        owner = docker.run("owner")
        docker.run("guest", network_of=owner)
        watched.roster.follow(frozenset({"guest"}))
        watched.start()
        docker.kill("owner")
        wait_for(lambda: not watched.roster.running[0].networks)

    def test_who_is_asked_for_may_change(self, docker: FakeDocker, watched: Watched) -> None:
        docker.run("web")
        docker.run("db")
        watched.roster.follow(frozenset({"web"}))
        watched.start()
        watched.roster.follow(frozenset({"db", "web"}))
        watched.wait_for_names("db", "web")
        watched.roster.follow(frozenset({"db"}))
        watched.wait_for_names("db")
        assert "list" not in docker.calls
        watched.roster.follow(None)
        watched.wait_for_names("db", "web")
