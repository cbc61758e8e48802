"""The house holds to its own rules: locks, commands, and what the image is given."""

import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HOUSE = Path(__file__).parents[2]
LOCKS = sorted((HOUSE / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, str]:
    """Each package's exact version in `requirements/LOCK.txt`."""
    text = (HOUSE / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_hashes_and_no_address(path: Path) -> None:
    """A lock that names a host or a directory works for one machine only."""
    entries = path.read_text().replace("\\\n", "").splitlines()
    assert entries
    for entry in entries:
        assert re.fullmatch(
            r"[a-z0-9-]+==[\w.]+( ; [\w.' =!<>()]+?)?\s*( +--hash=sha256:[0-9a-f]{64})+", entry
        ), f"{path.name}: {entry[:100]}"


def test_the_locks_hold_all_platforms_not_only_the_one_they_were_made_on() -> None:
    """grpcio has wheels for every Python and machine; a local resolution would see one."""
    text = (HOUSE / "requirements/runtime.txt").read_text()
    grpcio = re.search(r"^grpcio==.*\n(    --hash=.*\n)+", text, re.MULTILINE)
    assert grpcio is not None
    assert grpcio[0].count("--hash") > 30


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("runtime", []), ("dev", ["dev"]), ("test", ["dev", "docker", "render", "test"])],
)
def test_a_lock_answers_pyproject(lock: str, extras: list[str]) -> None:
    """After a change of pyproject.toml somebody has to run `make lock`."""
    wanted = PROJECT["project"]["dependencies"] + [
        text for extra in extras for text in PROJECT["project"]["optional-dependencies"][extra]
    ]
    locked = pins(lock)
    for requirement in map(Requirement, wanted):
        version = locked.get(requirement.name.lower())
        assert version, f"{lock}.txt lacks {requirement.name}: run `make lock`"
        assert version in requirement.specifier, f"{requirement}: locked at {version}"


def test_a_package_has_one_version_in_all_locks() -> None:
    widest = pins("test")
    for lock in ("runtime", "dev", "build"):
        assert pins(lock).items() <= widest.items()


def test_every_house_command_can_be_run_and_says_what_it_is_for() -> None:
    for script in [*(HOUSE / "scripts").iterdir(), HOUSE / ".ci/run"]:
        if script.is_file():
            first, second = script.read_text().splitlines()[:2]
            assert first.startswith("#!/usr/bin/env "), script
            assert re.match(r'# \w|"""\w', second), f"{script}: its second line says what it does"
            assert os.access(script, os.X_OK), script
