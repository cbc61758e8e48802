"""What the provider makes of a Docker daemon's answers, and of those that do not come."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler.ports import Standing
from secretary.scaler.providers.docker import Docker, open_docker
from secretary.scaler.providers.docker_calls import DockerCalls
from secretary.scaler.providers.docker_transport import transport
from tests.fakes.docker_relay import DockerRelay, Fault, Said, docker_relay

ID = "0123456789ab" * 5 + "cdef"
VERSION = "^GET /version$"
CREATE = "^POST /containers/create"
START = f"^POST /containers/{ID}/start$"
LIST = "^GET /containers/json"
INSPECT = f"^GET /containers/({ID}|web-1|{ID[:3]})/json$"
STATS = f"^GET /containers/{ID}/stats"
REMOVE = f"^DELETE /containers/{ID}"
VOLUMES = "^GET /volumes"


def told(**what: Any) -> dict[str, Any]:
    """Return a container as a list has it."""
    return {
        "Id": ID, "Names": ["/web-1"], "Image": "app:1", "Created": 1700000000, "State": "running",
        "Status": "Up 2 seconds", "Labels": {"secretary-web": ""},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
    } | what  # fmt: skip


def group(**what: Any) -> ScaleGroup:
    machine = MachineSettings(image="app:1", **what)
    return ScaleGroup(name="web", service="shop", provider=ProviderName.DOCKER, machine=machine)


@pytest.fixture
def daemon() -> Iterator[DockerRelay]:
    """A daemon on which everything goes well, and where each request can be made to go wrong."""
    inspected = {"Id": ID, "Name": "/web-1", "Config": {"Labels": None}, "HostConfig": {}}
    with docker_relay() as relay:
        relay.rules = {
            VERSION: Said(200, {"ApiVersion": "1.41"}),
            CREATE: Said(201, {"Id": ID}),
            START: Said(204),
            LIST: Said(200, [told()]),
            INSPECT: Said(200, inspected),
            REMOVE: Said(204),
            VOLUMES: Said(200, {"Volumes": None}),
        }
        yield relay


def open_at(daemon: DockerRelay, group: ScaleGroup, timeout_s: float = 5.0) -> Docker:
    return Docker(group, DockerCalls(transport({"DOCKER_HOST": daemon.url}), timeout_s))


@pytest.fixture
def provider(daemon: DockerRelay) -> Iterator[Docker]:
    with closing(open_at(daemon, group())) as provider:
        yield provider


def asked(daemon: DockerRelay) -> list[str]:
    """Return what changes something, without the queries."""
    return [each.partition("?")[0] for each, _ in daemon.asked if not each.startswith("GET")]


MADE = ["POST /containers/create", f"POST /containers/{ID}/start"]
UNMADE = [*MADE, f"DELETE /containers/{ID}"]


def test_a_machine_is_made_and_started(daemon: DockerRelay, provider: Docker) -> None:
    seen = provider.create("web-1")
    assert (seen.provider_id, seen.name, seen.standing) == (ID, "web-1", Standing.ACTIVE)
    assert (seen.address, seen.port, seen.cost_class) == ("172.17.0.2", None, "app:1")
    assert asked(daemon) == MADE
    assert ("POST /containers/create?name=web-1") in [each for each, _ in daemon.asked]


@pytest.mark.parametrize(
    ("request_", "fault", "kind", "changes"),
    [
        (VERSION, Fault.DROP, CloudAway, []),
        (VERSION, Said(200, b"<html>"), CloudAway, []),
        (VERSION, Said(200, {"ApiVersion": "../x"}), CloudAway, []),
        (VERSION, Said(429, {}), CloudBusy, []),
        (VERSION, Said(403, b"no\nway"), CloudRefused, []),
        (CREATE, Fault.DROP, CloudAway, MADE[:1]),
        (CREATE, Said(400, {"message": "invalid"}), CloudRefused, MADE[:1]),
        (CREATE, Said(404, {"message": "No such image"}), CloudRefused, MADE[:1]),
        (CREATE, Said(409, {"message": "in use by"}), CloudRefused, MADE[:1]),
        (CREATE, Said(429, {"message": "slowly"}), CloudBusy, MADE[:1]),
        (CREATE, Said(500, {"message": "no space left"}), CloudAway, MADE[:1]),
        (CREATE, Said(503, b""), CloudAway, MADE[:1]),
        (CREATE, Said(201, b"{"), CloudAway, MADE[:1]),
        (CREATE, Said(302, b"", {"Location": "/other"}), CloudAway, MADE[:1]),
        (START, Fault.DROP, CloudAway, MADE),
        (START, Said(502, b"bad gateway"), CloudAway, MADE),
        (START, Said(404, {"message": "no such network"}), CloudRefused, UNMADE),
        (START, Said(500, {"message": "cannot start it"}), CloudRefused, UNMADE),
        (START, Said(429, {"message": "slowly"}), CloudBusy, UNMADE),
        (LIST, Fault.DROP, CloudAway, MADE),
        (LIST, Said(429, {"message": "slowly"}), CloudAway, MADE),
        (LIST, Said(403, {"message": "not allowed"}), CloudAway, MADE),
        (LIST, Said(200, []), CloudAway, MADE),
    ],
)
def test_a_create_that_fails_is_told_apart_and_never_repeated(
    daemon: DockerRelay,
    provider: Docker,
    request_: str,
    fault: Fault | Said,
    kind: type[CloudError],
    changes: list[str],
) -> None:
    """CloudAway: it may be there. CloudBusy and CloudRefused: nothing is left of it."""
    daemon.rules[request_] = fault
    with pytest.raises(kind) as raised:
        provider.create("web-1")
    assert asked(daemon) == changes
    message = str(raised.value)
    assert daemon.url in message
    assert "\n" not in message
    if isinstance(fault, Said) and isinstance(fault.body, dict):
        assert fault.body.get("message", "") in message


def test_what_could_not_be_started_nor_removed_may_be_there(
    daemon: DockerRelay, provider: Docker
) -> None:
    daemon.rules |= {START: Said(500, {"message": "no memory"}), REMOVE: Fault.DROP}
    with pytest.raises(CloudAway, match=r"no memory; and web-1, made but not started, is left: "):
        provider.create("web-1")


def test_an_image_that_is_not_there_is_not_pulled(daemon: DockerRelay, provider: Docker) -> None:
    daemon.rules[CREATE] = Said(404, {"message": "No such image: app:1"})
    with pytest.raises(CloudRefused, match=r"No such image: app:1; docker pull app:1$"):
        provider.create("web-1")
    assert asked(daemon) == MADE[:1]


def test_user_data_is_filled_in_for_each_machine(daemon: DockerRelay, tmp_path: Path) -> None:
    template = tmp_path / "given"
    template.write_text("${name} of ${group} for ${service}: $HOME costs $$5\n")
    with closing(open_at(daemon, group(user_data=str(template)))) as provider:
        provider.create("web-1")
        made = next(body for each, body in daemon.asked if each.startswith("POST") and body)
        assert made["Env"] == ["USER_DATA=web-1 of web for shop: $HOME costs $5\n"]
        template.unlink()
        with pytest.raises(CloudRefused, match=str(template)):
            provider.create("web-2")
    assert asked(daemon) == MADE


def test_a_daemon_that_says_nothing_is_away_in_time(daemon: DockerRelay) -> None:
    daemon.rules[LIST] = Fault.STALL
    with closing(open_at(daemon, group(), timeout_s=0.2)) as provider:
        with pytest.raises(
            CloudAway, match=r"GET /containers/json: no answer: nothing, or not all, came in"
        ):
            provider.machines()
        daemon.going_on.set()


def test_a_socket_that_is_not_there_is_a_daemon_that_is_away(tmp_path: Path) -> None:
    provider = open_docker(group(), {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
    with pytest.raises(CloudAway, match=r"docker\.sock: GET /version: no answer: there is no such"):
        provider.machines()
    provider.close()


def test_a_port_where_nobody_listens_is_a_daemon_that_is_away() -> None:
    with docker_relay() as relay:
        url = relay.url
    provider = open_docker(group(), {"DOCKER_HOST": url})
    with pytest.raises(CloudAway, match="connection refused"):
        provider.machines()
    provider.close()


def test_the_version_is_asked_for_once_and_again_after_trouble(
    daemon: DockerRelay, provider: Docker
) -> None:
    provider.machines()
    provider.machines()
    assert [each for each, _ in daemon.asked].count("GET /version") == 1
    listing = daemon.rules[LIST]
    daemon.rules[LIST] = Fault.DROP
    with pytest.raises(CloudAway):
        provider.machines()
    daemon.rules[LIST] = listing
    provider.machines()
    assert [each for each, _ in daemon.asked].count("GET /version") == 2


def test_the_short_beginning_of_an_id_finds_no_machine(
    daemon: DockerRelay, provider: Docker
) -> None:
    assert provider.find("web-1") == provider.find(ID)
    assert provider.find(ID[:3]) is None
    assert provider.find("../../info") is None


@pytest.mark.parametrize(
    "listed",
    [b"", b"null", b"[{}]", b"{}", [told(Created="now")], [told(NetworkSettings=[])], b"\xff"],
)
def test_a_list_that_is_none_is_not_taken_for_an_empty_one(
    daemon: DockerRelay, provider: Docker, listed: Any
) -> None:
    daemon.rules[LIST] = Said(200, listed)
    with pytest.raises(CloudAway, match="cannot be read"):
        provider.machines()


def test_the_volumes_that_a_deleted_machine_leaves_mean_nothing(
    daemon: DockerRelay, provider: Docker
) -> None:
    daemon.rules |= {f"^POST /containers/{ID}/stop": Said(204), "^DELETE /volumes": Fault.DROP}
    assert provider.delete(ID)


def stats(used_s: float, at_s: float, ago_s: float = 1.0) -> Said:
    """Return looks at a container of a host with two cores, which was idle in the last second."""
    used, before, now = (round(each * 1e9) for each in (used_s, 2 * (at_s - ago_s), 2 * at_s))
    cpu = {"cpu_usage": {"total_usage": used}, "online_cpus": 2}
    looks = {"cpu_stats": cpu | {"system_cpu_usage": now}}
    return Said(200, looks | {"precpu_stats": cpu | {"system_cpu_usage": before}})


def test_the_load_is_that_of_the_time_since_the_last_look(
    daemon: DockerRelay, provider: Docker
) -> None:
    daemon.rules[STATS] = stats(used_s=100, at_s=1000)
    assert provider.cpu([ID]) == {ID: 0.0}
    daemon.rules[STATS] = stats(used_s=105, at_s=1010)
    assert provider.cpu([ID]) == {ID: 25.0}
    daemon.rules[STATS] = stats(used_s=107, at_s=1090)
    assert provider.cpu([ID]) == {ID: 0.0}, "longer ago than a minute"


def test_the_load_of_some_is_told_when_that_of_others_is_not(
    daemon: DockerRelay, provider: Docker
) -> None:
    daemon.rules[STATS] = stats(used_s=100, at_s=1000)
    daemon.rules["^GET /containers/slow/json"] = Fault.DROP
    assert provider.cpu([ID, "gone", "slow"]) == {ID: 0.0}
    with pytest.raises(CloudAway):
        provider.cpu(["slow"])


def test_what_is_asked_of_the_list_is_the_groups_label(
    daemon: DockerRelay, provider: Docker
) -> None:
    (seen,) = provider.machines()
    assert seen.name == "web-1"
    query = json.dumps({"label": ["secretary-web"]})
    (path,) = (each for each, _ in daemon.asked if "/containers/json" in each)
    assert parse_qs(urlsplit(path).query) == {"all": ["true"], "filters": [query]}
