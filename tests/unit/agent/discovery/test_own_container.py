"""Which container this process shares the network of. The lines are those of a real daemon."""

from pathlib import Path

import pytest

from secretary.agent.discovery import own_container
from secretary.agent.discovery.own_container import owner, shared
from secretary.core.errors import SettingsError

OWNER, GUEST = "c" * 64, "6" * 64
STATE = "/var/lib/docker/containers"


def mount(source: str, target: str) -> str:
    return f"646 628 254:0 {source} {target} rw,relatime - ext4 /dev/vda rw,discard"


def test_it_is_the_container_whose_files_are_mounted() -> None:
    lines = [
        mount("/", "/"),
        mount(f"{STATE}/{OWNER}/resolv.conf", "/etc/resolv.conf"),
        mount(f"{STATE}/{OWNER}/hostname", "/etc/hostname"),
        mount(f"{STATE}/{OWNER}/hosts", "/etc/hosts"),
        mount(f"{STATE}/{GUEST}/mounts/shm", "/dev/shm"),
    ]
    assert owner("\n".join(lines)) == OWNER


def test_one_file_is_enough() -> None:
    assert owner(mount(f"{STATE}/{OWNER}/resolv.conf", "/etc/resolv.conf")) == OWNER


def test_a_file_that_somebody_mounted_over_it_says_nothing() -> None:
    lines = [
        mount(f"{STATE}/{OWNER}/hosts", "/etc/hosts"),
        mount("/srv/hosts", "/etc/hosts"),
        mount(f"{STATE}/{OWNER}/hostname", "/etc/hostname"),
    ]
    assert owner("\n".join(lines)) == OWNER


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "nonsense",
        mount("/etc/hosts", "/etc/hosts"),
        mount(f"{STATE}/abc/hosts", "/etc/hosts"),
        mount(f"{STATE}/{OWNER}/hosts", "/srv/hosts"),
    ],
)
def test_elsewhere_there_is_none(lines: str) -> None:
    assert owner(lines) is None


def test_outside_of_docker_self_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_container, "_MOUNTS", tmp_path / "absent")
    with pytest.raises(SettingsError, match="--container self: this process is in no container"):
        shared()
