"""The roster of containers that serve: what each event does to it."""

import logging

import pytest

from secretary.agent.discovery import roster as module
from secretary.core.container import Health
from secretary.core.errors import DockerAway
from tests.fakes.docker import FakeDocker
from tests.unit.agent.discovery.watched import JOIN_S, Watched, held, let_go
from tests.waiting import wait_for


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
    docker: FakeDocker, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOGETHER_S", 60.0)
    watched.start()
    told_before = len(watched.tells)
    held(watched)
    for number in range(50):
        docker.run(f"new-{number}")
    let_go(watched)
    wait_for(lambda: watched.tells and len(watched.tells[-1]) == 51)
    assert len(watched.tells) == told_before + 1


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
