"""What is read from Docker's long answer about a container, and what must not be."""

import json
from dataclasses import replace
from typing import Any

import pytest

from secretary.agent.discovery.inspected import decode, nanoseconds
from secretary.core.container import Health, NetworkMode, Published

ID = "4" * 64
STARTED = "2026-11-21T13:09:04.346066834Z"


def answer(
    *,
    state: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    mode: str = "default",
    networks: dict[str, Any] | None = None,
    **changes: Any,
) -> bytes:
    told = {
        "Id": ID,
        "Name": "/web",
        "State": {"Status": "running", "Running": True, "Paused": False, "Restarting": False,
                  "Dead": False, "StartedAt": STARTED, **(state or {})},
        "Config": {"Image": "app:1", "Labels": {}, "Env": [], **(config or {})},
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {
            "Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}},
            "Ports": {}, **(networks or {}),
        },
        "Unknown": {"kept": "out"},
    }  # fmt: skip
    return json.dumps(told | changes).encode()


def test_a_plain_container() -> None:
    seen = decode(answer())
    assert (seen.id, seen.container.name, seen.container.image) == (ID, "web", "app:1")
    assert (seen.serves, seen.health, seen.network_of) == (True, Health.NONE, None)
    assert (seen.stop_signal, seen.stop_timeout_s) == (15, None)
    assert seen.container.networks == {"bridge": "172.17.0.2"}
    assert not seen.container.has_health_check


@pytest.mark.parametrize("word", ["Paused", "Restarting", "Dead"])
def test_not_all_that_runs_serves(word: str) -> None:
    assert not decode(answer(state={word: True})).serves


def test_other_variables_than_registrators_are_not_kept() -> None:
    """They may be secrets; a container without a value for a variable lists its bare name."""
    environ = [
        "SERVICE_NAME=web",
        "PASSWORD=hush",
        "SERVICE_TAGS=a=b",
        "SERVICE_X",
        "MY_SERVICE_=1",
    ]
    container = decode(answer(config={"Env": environ})).container
    assert container.environ == {"SERVICE_NAME": "web", "SERVICE_TAGS": "a=b"}
    assert "hush" not in repr(container)


def test_ports_of_tcp_alone_are_read() -> None:
    bindings = {
        "8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "1"}],
        "81/tcp": [{"HostIp": "", "HostPort": "81"}],
        "82/tcp": None,
        "83/tcp": [{"HostIp": "", "HostPort": ""}],
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "53"}],
    }
    exposed: dict[str, Any] = {
        port: {} for port in ("8080/tcp", "81/tcp", "82/tcp", "53/udp", "9/sctp")
    }
    container = decode(
        answer(config={"ExposedPorts": exposed}, networks={"Ports": bindings})
    ).container
    assert container.exposed == (81, 82, 8080)
    assert container.published == (
        Published(81, "0.0.0.0", 81),
        Published(8080, "0.0.0.0", 32768),
        Published(8080, "::", 1),
    )


def test_a_network_without_an_address_is_none() -> None:
    networks = {
        "gone": {"IPAddress": "", "GlobalIPv6Address": ""},
        "six": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"},
        "both": {"IPAddress": "10.0.0.2", "GlobalIPv6Address": "fd00::3"},
        "null": None,
    }
    seen = decode(answer(networks={"Networks": networks}))
    assert seen.container.networks == {"six": "fd00::2", "both": "10.0.0.2"}


@pytest.mark.parametrize(
    ("mode", "meant", "owner"),
    [
        ("host", NetworkMode.HOST, None),
        ("none", NetworkMode.NONE, None),
        ("front", NetworkMode.OWN, None),
        (f"container:{ID}", NetworkMode.OWN, ID),
    ],
)
def test_the_mode_of_the_network(mode: str, meant: NetworkMode, owner: str | None) -> None:
    seen = decode(answer(mode=mode))
    assert (seen.container.network_mode, seen.network_of) == (meant, owner)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, 15), ("", 15), ("SIGQUIT", 3), ("quit", 3), ("3", 3), ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63), ("RTMIN", 34), ("nonsense", 15),
    ],
)  # fmt: skip
def test_stop_signals_have_many_names(text: str | None, number: int) -> None:
    assert decode(answer(config={"StopSignal": text})).stop_signal == number


@pytest.mark.parametrize("word", ["none", "starting", "healthy", "unhealthy"])
def test_what_the_health_check_says(word: str) -> None:
    seen = decode(answer(state={"Health": {"Status": word, "FailingStreak": 0}}))
    assert seen.health is Health(word)
    assert seen.container.has_health_check is (word != "none")


@pytest.mark.parametrize(
    ("time", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2026-11-21T13:09:04.346066834Z", 1_795_266_544_346_066_834),
        ("2026-11-21T15:09:04.346066834+02:00", 1_795_266_544_346_066_834),
    ],
)
def test_times_are_exact_to_the_nanosecond(time: str, ns: int) -> None:
    assert nanoseconds(time) == ns


def test_a_container_that_never_started_has_a_time_too() -> None:
    assert decode(answer(state={"StartedAt": "0001-01-01T00:00:00Z"})).started_ns < 0


@pytest.mark.parametrize(
    "wrong",
    [
        b"{",
        b"[]",
        answer(Id=None),
        answer(state={"StartedAt": "yesterday"}),
        answer(state={"Running": "yes"}),
        answer(config={"Labels": {"a": 1}}),
        answer(config={"Env": "A=1"}),
        answer(networks={"Ports": {"80/tcp": [{"HostPort": "many"}]}}),
        answer(networks={"Ports": {"80/tcp": [{"HostPort": 80}]}}),
    ],
)
def test_what_does_not_decode_is_an_error(wrong: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(wrong)


def test_a_guest_has_what_its_host_has() -> None:
    owner = decode(answer(Id="5" * 64, networks={"Ports": {"80/tcp": [{"HostPort": "80"}]}}))
    guest = decode(answer(mode="container:owner", networks={"Networks": {}}))
    seen = guest.joined(owner)
    assert seen.network_of == owner.id
    assert seen.container.networks == {"bridge": "172.17.0.2"}
    assert seen.container.published == (Published(80, "0.0.0.0", 80),)


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_guest_is_nowhere_after_its_host_has_gone_or_begun_anew(is_gone: bool) -> None:
    """Tried on Docker 20.10: it stays in the former network, which has no interface left."""
    guest = decode(answer(mode=f"container:{ID}"))
    owner = None if is_gone else replace(guest, started_ns=guest.started_ns + 1)
    seen = guest.joined(owner)
    assert (seen.container.networks, seen.container.published) == ({}, ())
