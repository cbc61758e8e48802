"""A real fleet takes every unit of deploy/units, and heeds all that is said to it."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.unit.deploy.fleet import Refused, check, read

UNITS: Final = Path(__file__).parents[3] / "deploy/units"
FILES: Final = sorted(UNITS.glob("*.service"))
_PLAIN: Final = "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_fleet_takes_the_unit(file: Path) -> None:
    """As a template and as an instance of it."""
    unit = read(file.read_text())
    for name in {file.name, file.name.replace("@.", "@8080.")}:
        check(name, unit)


def test_an_app_and_its_secretary_are_put_on_one_machine_and_two_apps_on_two() -> None:
    app = read((UNITS / "app@.service").read_text())
    secretary = read((UNITS / "app-secretary@.service").read_text())
    assert app.all("X-Fleet", "Conflicts") == ["app@*.service"]
    assert secretary.all("X-Fleet", "MachineOf") == ["app@%i.service"]


def test_whom_an_app_wants_and_whom_its_secretary_is_bound_to_agree() -> None:
    """Under fleet nothing is enabled, so the app alone brings its secretary."""
    app = read((UNITS / "app@.service").read_text())
    secretary = read((UNITS / "app-secretary@.service").read_text())
    assert "app-secretary@%i.service" in app.all("Unit", "Wants")
    assert secretary.all("Unit", "BindsTo") == ["app@%i.service"]


@pytest.mark.parametrize(
    "what",
    [
        ("--image", "example/shop:1.4"),
        ("--exec", "/opt/shop/bin/serve --port {port}"),
        ("--unit", "shop.service"),
    ],
    ids=lambda what: what[0],
)
def test_fleet_takes_the_units_of_ones_own_app(what: tuple[str, str], tmp_path: Path) -> None:
    # fmt: off
    command = [
        sys.executable, "-m", "secretary", "units", "install", "shop", "--port", "8080", *what,
        "--meta", 'said="a" %', "--program", "/opt/secretary/bin/secretary", "--dir", str(tmp_path),
    ]
    # fmt: on
    subprocess.run(command, check=True, capture_output=True)
    written = list(tmp_path.glob("*.service"))
    assert written
    for file in written:
        check(file.name, read(file.read_text()))


def test_a_unit_without_a_word_to_fleet_is_taken() -> None:
    check("plain.service", read(_PLAIN))


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("a b.service", ""),
        ("notes.txt", ""),
        ("@8080.service", ""),
        ("a.service", "Nonsense\n"),
        ("a.service", "[X-Fleet] # of course\n"),
        ("a.service", f"ExecStop=/bin/echo {'a' * 2048}\n"),
        ("a.service", f"ExecStop=/bin/echo {'a' * 1500} \\\n  {'b' * 1500}\n"),
        ("a.service", "ExecStop=/bin/a \\\n# why\n  b\n"),
        ("a.service", "ExecStop=/bin/a \\\n\n  b\n"),
        ("a.service", "# a comment\\\nExecStop=/bin/a\n"),
        ("a.service", "[X-Fleet]\nConditionMachineOf=b.service\n"),
        ("a.service", "[X-Fleet]\nMachineOf=%H.service\n"),
        ("a.service", "[X-Fleet]\nMachineOf=b*.service\n"),
        ("a@.service", "[X-Fleet]\nMachineOf=a@%i.service\nConflicts=a@*.service\n"),
        ("a.service", "[X-Fleet]\nGlobal=true\nMachineOf=b.service\n"),
        ("a.service", "[X-Fleet]\nGlobal=true\nConflicts=b.service\n"),
        ("a.service", "[X-Fleet]\nMachineID=1\nConflicts=b.service\n"),
    ],
)
def test_what_fleet_refuses_or_ignores_is_found_out(name: str, more: str) -> None:
    """Each was tried on fleet's own code."""
    with pytest.raises(Refused):
        check(name, read(_PLAIN + more))
