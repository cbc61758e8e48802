"""What the lines of Docker's event stream mean. The lines are those of a real daemon."""

import json
from typing import Any

import pytest

from secretary.agent.discovery.docker_events import ACTIONS, Event, decode

ID = "4" * 64


def line(**changes: Any) -> bytes:
    told = {
        "status": "kill", "id": ID, "from": "app:1", "Type": "container", "Action": "kill",
        "Actor": {"ID": ID, "Attributes": {"image": "app:1", "name": "web", "signal": "15"}},
        "scope": "local", "time": 1795266548, "timeNano": 1795266548126000123,
    }  # fmt: skip
    return json.dumps(told | changes).encode()


def actor(**attributes: str) -> dict[str, Any]:
    return {"ID": ID, "Attributes": {"name": "web", **attributes}}


def test_a_kill_says_its_signal() -> None:
    assert decode(line()) == Event("kill", ID, 1795266548126000123, "web", "15")


def test_a_death_says_its_status() -> None:
    event = decode(line(Action="die", Actor=actor(exitCode="137")))
    assert event is not None
    assert (event.action, event.detail, event.is_down) == ("die", "137", True)


def test_a_health_check_says_its_word() -> None:
    event = decode(line(Action="health_status: unhealthy", Actor=actor()))
    assert event is not None
    assert (event.action, event.detail, event.is_down) == ("health_status", "unhealthy", False)


def test_a_networks_event_is_about_its_container() -> None:
    attributes = {"ID": "7" * 64, "Attributes": {"container": ID, "name": "bridge"}}
    event = decode(line(Type="network", Action="disconnect", Actor=attributes))
    assert event == Event("disconnect", ID, 1795266548126000123)


@pytest.mark.parametrize(
    "changes",
    [
        {"Type": "network", "Action": "destroy", "Actor": actor()},
        {"Type": "network", "Action": "connect", "Actor": actor()},
        {"Type": "image", "Action": "pull", "Actor": actor()},
        {"Action": "exec_start: /bin/sh", "Actor": actor()},
        {"Action": "health_status_of_tomorrow", "Actor": actor()},
    ],
)
def test_other_events_are_no_concern_of_ours(changes: dict[str, Any]) -> None:
    assert decode(line(**changes)) is None


@pytest.mark.parametrize(
    "wrong", [b"{", b"[]", line(timeNano="1"), line(Actor={"ID": 1}), line(Action=None)]
)
def test_what_is_no_event_is_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(wrong)


def test_attributes_may_be_missing() -> None:
    assert decode(line(Actor={"ID": ID, "Attributes": None})) is not None


def test_every_action_is_asked_for() -> None:
    assert set(ACTIONS) == {
        "start", "die", "kill", "pause", "unpause", "stop", "destroy", "rename", "update",
        "health_status", "connect", "disconnect",
    }  # fmt: skip
