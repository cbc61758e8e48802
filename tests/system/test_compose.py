"""The Compose stack: apps come, go and die behind both its proxies, and no request fails."""

import os
import re
import signal

import pytest

import secretary
from tests.system.compose_bed import (
    FILES,
    HERE,
    Load,
    Stack,
    built,
    leaves_nothing_behind,
    stack,
)
from tests.waiting import wait_for

__all__ = ["built", "leaves_nothing_behind", "stack"]

# The first test waits for debootstrap and the builds.
pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]

ASK = """
import http.client, sys
for line in sys.argv[1:]:
    method, path = line.split()
    connection = http.client.HTTPConnection("docker-socket", 2375, timeout=5)
    connection.request(method, path)
    print(connection.getresponse().status, line)
    connection.close()
"""
READS = ("GET /version", "GET /_ping", "GET /containers/json", "GET /v1.41/containers/{}/json")
REFUSED = (
    "POST /containers/create",
    "POST /containers/{}/json",
    "POST /containers/{}/kill",
    "DELETE /containers/{}",
    "PUT /containers/{}/archive?path=/",
    "GET /containers/{}/archive?path=/",
    "GET /containers/{}/export",
    "GET /containers/{}/logs?stdout=1",
    "GET /containers/{}/attach/ws",
    "GET /containers/../images/json",
    "GET /containers/{}%2f..%2f..%2fimages/json",
    "GET /images/json",
    "GET /info",
    "GET /secrets",
)


def test_both_proxies_lead_to_all_apps(stack: Stack) -> None:
    """Those of the host agent, and the one with a secretary of its own."""
    with Load(stack) as load:
        load.reaches(*stack.names("web", "api"))


def test_scaling_up_and_down_fails_no_request(stack: Stack) -> None:
    """Nor is HAProxy reloaded."""

    def reloads() -> int:
        return stack("logs", "--no-color", "haproxy").count("Former worker")

    before = reloads()
    with Load(stack) as load:
        load.reaches(*stack.names("web", "api"))
        stack.up(web=10)
        load.reaches(*stack.names("web", "api"))
        stack.up(web=3)
        assert len(stack.names("web")) == 3
        load.reaches(*stack.names("web", "api"))
    assert reloads() == before


def test_a_killed_app_fails_no_request_that_may_be_sent_twice(stack: Stack) -> None:
    victim = stack.names("web")[0]
    with Load(stack, posts=False) as load:
        load.reaches(*stack.names("web", "api"))
        stack.docker("kill", victim)
        load.leaves(victim)
        stack.docker("start", victim)
        load.reaches(victim)


def test_a_stopped_app_fails_no_request(stack: Stack) -> None:
    """Docker tells the app and the host agent at once; the app goes on for a moment."""
    victim = stack.names("web")[0]
    with Load(stack) as load:
        load.reaches(*stack.names("web", "api"))
        stack.docker("stop", victim)
        load.leaves(victim)
        stack.docker("start", victim)
        load.reaches(victim)


def test_an_app_that_is_stopped_with_its_secretary_fails_no_request(stack: Stack) -> None:
    """Compose stops the secretary first, and it waits until the proxies know."""
    (victim,) = stack.names("api")
    with Load(stack) as load:
        load.reaches(*stack.names("web", "api"))
        stack("stop", "api", "api-secretary")
        assert stack.ended("api-secretary") < stack.ended("api")
        load.leaves(victim)
        stack("start", "api", "api-secretary")
        load.reaches(victim)
    assert "drain timeout" not in stack("logs", "api-secretary")


def test_an_app_that_is_stopped_without_its_secretary_fails_little(stack: Stack) -> None:
    """Nobody knows until its port is closed: what comes just then is lost, or sent again."""
    (victim,) = stack.names("api")
    with Load(stack, posts=False) as load:
        load.reaches(*stack.names("web", "api"))
        stack("stop", "api")
        load.leaves(victim)
        stack("stop", "api-secretary")
        stack.up()
        load.reaches(victim)


def test_a_secretary_finds_its_app_again_that_has_crashed(stack: Stack) -> None:
    """Docker gives an app that it starts anew another network than its secretary is in."""

    def ups() -> int:
        return stack("logs", "--no-color", "api-secretary").count(" up: status 200")

    (app,) = stack.containers("api")
    with Load(stack, posts=False) as load:
        load.reaches(app["Config"]["Hostname"])
        before = ups()
        os.kill(app["State"]["Pid"], signal.SIGKILL)
        wait_for(lambda: ups() > before, timeout_s=60, what="its secretary said that it is up")
        load.reaches(app["Config"]["Hostname"])


def test_a_proxy_that_is_restarted_is_kept_right(stack: Stack) -> None:
    """Its renderer is neither ended with it nor left with a process that is gone."""
    renderers = [stack.containers(s)[0]["State"]["Pid"] for s in ("renderer", "haproxy-renderer")]
    stack("restart", "proxy", "haproxy")
    stack.up(web=4)
    with Load(stack) as load:
        load.reaches(*stack.names("web", "api"))
    assert renderers == [
        stack.containers(service)[0]["State"]["Pid"] for service in ("renderer", "haproxy-renderer")
    ]


def test_of_dockers_socket_only_what_reads_containers_comes_through(stack: Stack) -> None:
    name = stack.names("web")[0]
    reads, refused = ([line.format(name) for line in some] for some in (READS, REFUSED))
    ask = ("exec", "-T", "secretaries", "/opt/secretary/bin/python", "-c", ASK)
    assert stack(*ask, *reads, *refused).splitlines() == [
        *(f"200 {line}" for line in reads),
        *(f"403 {line}" for line in refused),
    ]


def test_nobody_but_the_host_agent_reaches_dockers_socket(stack: Stack) -> None:
    told = {service: stack.containers(service)[0] for service in stack.services}
    mounts = {
        service
        for service, container in told.items()
        if any("docker.sock" in mount["Destination"] for mount in container["Mounts"])
    }
    assert mounts == {"docker-socket"}
    beside = {
        service
        for service, container in told.items()
        if f"{stack.project}_docker-socket" in container["NetworkSettings"]["Networks"]
    }
    assert beside == {"docker-socket", "secretaries"}


def test_all_containers_become_healthy(stack: Stack) -> None:
    def states() -> set[str]:
        told = [container for service in stack.services for container in stack.containers(service)]
        return {container["State"]["Health"]["Status"] for container in told}

    wait_for(lambda: states() == {"healthy"}, timeout_s=90, what="all were healthy")


def test_every_container_is_checked_started_again_and_without_rights(stack: Stack) -> None:
    published = set()
    for service in stack.services:
        (container, *_) = stack.containers(service)
        config, host = container["Config"], container["HostConfig"]
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert config["Healthcheck"]["Test"][0] in ("CMD", "CMD-SHELL")
        assert config["StopTimeout"] >= 5
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert config["User"] == ("0:0" if service == "docker-socket" else "65532:65532")
        published |= {service for ports in (host["PortBindings"] or {}).values() if ports}
    assert published == {"proxy", "haproxy"}


def test_every_image_has_a_version(stack: Stack) -> None:
    """Where no variable names another one, that of the secretary in this checkout."""
    plain = Stack(stack.docker, stack.project, FILES, {}, 0, 0)
    images = re.findall(r"^ +image: (\S+)$", plain("config"), re.MULTILINE)
    assert len(images) == len(plain.services)
    assert {image.partition(":")[2] for image in images} == {secretary.__version__}


def test_the_readme_has_every_service_and_variable(stack: Stack) -> None:
    readme = (HERE / "README.md").read_text()
    variables = {name for file in FILES for name in re.findall(r"\$\{(\w+)", file.read_text())}
    assert [word for word in (*stack.services, *variables) if f"`{word}`" not in readme] == []


def test_all_stops_in_order_and_leaves_nothing(stack: Stack) -> None:
    """Secretaries, apps, renderers, proxies, the directory; each within its time."""
    stack("stop")
    services = stack.services
    ended = {service: stack.ended(service) for service in services}
    for before, after in (
        ("secretaries", "web"),
        ("api-secretary", "api"),
        ("web", "renderer"),
        ("api", "haproxy-renderer"),
        ("renderer", "proxy"),
        ("haproxy-renderer", "haproxy"),
        ("renderer", "etcd"),
        ("proxy", "processes"),
    ):
        assert ended[before] < ended[after], (before, after)
    for service in services:
        states = [container["State"] for container in stack.containers(service)]
        assert all(state["ExitCode"] != 137 for state in states), f"{service} was killed"
    stack("down", "--volumes")
    assert stack.gone()
