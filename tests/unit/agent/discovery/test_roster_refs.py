"""With names given, Docker is asked about these alone."""

from tests.fakes.docker import FakeDocker
from tests.unit.agent.discovery.watched import Watched
from tests.waiting import wait_for


def test_others_cause_no_question(docker: FakeDocker, watched: Watched) -> None:
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


def test_one_that_is_made_anew_is_found_by_its_name(docker: FakeDocker, watched: Watched) -> None:
    first = docker.run("web")
    watched.roster.follow(frozenset({"web"}))
    watched.start()
    docker.remove("web")
    watched.wait_for_names()
    second = docker.run("web")
    watched.wait_for_names("web")
    assert watched.roster.running[0].id == second != first


def test_one_that_is_renamed_makes_room(docker: FakeDocker, watched: Watched) -> None:
    docker.run("web")
    docker.run("next")
    watched.roster.follow(frozenset({"web"}))
    watched.start()
    docker.rename("web", "old")
    watched.wait_for_names()
    docker.rename("next", "web")
    watched.wait_for_names("web")


def test_the_beginning_of_an_id_is_enough(docker: FakeDocker, watched: Watched) -> None:
    id_ = docker.run("web")
    watched.roster.follow(frozenset({id_[:12]}))
    watched.start()
    docker.pause("web")
    watched.wait_for_names()
    docker.unpause("web")
    watched.wait_for_names("web")


def test_a_name_is_stronger_than_the_beginning_of_an_id(
    docker: FakeDocker, watched: Watched
) -> None:
    docker.run("db")
    watched.roster.follow(frozenset({"db"}))
    watched.start()
    docker.run("stranger", id="db" + 62 * "0")
    docker.tell("update", "db")
    wait_for(lambda: docker.calls.count("inspect db") == 2)
    assert watched.names == ["db"]
    watched.roster.follow(None)
    watched.wait_for_names("db", "stranger")


def test_the_owner_of_a_shared_network_matters_as_well(
    docker: FakeDocker, watched: Watched
) -> None:
    owner = docker.run("owner")
    docker.run("guest", network_of=owner)
    watched.roster.follow(frozenset({"guest"}))
    watched.start()
    docker.kill("owner")
    wait_for(lambda: not watched.roster.running[0].networks)


def test_who_is_asked_for_may_change(docker: FakeDocker, watched: Watched) -> None:
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
