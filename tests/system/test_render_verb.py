"""`secretary render` as a verb: once, as a rehearsal, with wrong settings; each exit says which."""

import json
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd
from tests.etcd_bed import Etcdctl
from tests.secretaries import run

TEMPLATE = """\
{% for s in services %}{% for i in s %}
{{ s.name }} {{ i.addr }} {{ i.weight }}
{% endfor %}{% endfor %}
"""


def record(ip: str, weight: int = 100) -> bytes:
    return json.dumps(
        {
            "host": "n", "ipv4_addr": ip, "port": 80, "addr": f"{ip}:80", "name": "web",
            "id": "i1", "weight": weight, "tags": [], "meta": {}, "state": "up",
            "since": "2026-11-21T02:00:00Z", "schema": 1,
        }
    ).encode()  # fmt: skip


class Place:
    """A directory with a template and a destination, and the arguments that name them."""

    def __init__(self, directory: Path, etcd: DevEtcd, prefix: str) -> None:
        self.template = directory / "t.j2"
        self.template.write_text(TEMPLATE)
        self.dest = directory / "out.conf"
        self.arguments = [
            *("--etcd", etcd.urls[0], "--prefix", prefix, "--state", "off"),
            *("--template", str(self.template), "--dest", str(self.dest)),
        ]

    def render(self, *more: str) -> tuple[int, str, str]:
        done = run("render", *self.arguments, *more)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def place(tmp_path: Path, etcd: DevEtcd, prefix: str) -> Place:
    return Place(tmp_path, etcd, prefix)


def test_once_publishes_what_there_is(place: Place, etcdctl: Etcdctl, prefix: str) -> None:
    etcdctl.put(f"{prefix}/web/10.0.0.1", record("10.0.0.1"))
    assert place.render("--once")[:2] == (0, f"{place.dest}: written\n")
    assert place.dest.read_text() == "web 10.0.0.1:80 100\n"
    assert place.render("--once")[:2] == (0, f"{place.dest}: unchanged\n")


def test_once_runs_the_check_and_the_reload(place: Place, etcdctl: Etcdctl, prefix: str) -> None:
    etcdctl.put(f"{prefix}/web/10.0.0.1", record("10.0.0.1"))
    reloaded = place.dest.with_name("reloaded")
    status, out, _ = place.render(
        "--once", "--check-cmd", "grep -q web {staged}", "--reload", f"touch {reloaded}"
    )
    assert (status, out) == (0, f"{place.dest}: written, reloaded\n")
    assert reloaded.exists()
    etcdctl.put(f"{prefix}/web/10.0.0.1", record("10.0.0.1", 5))
    status, out, err = place.render("--once", "--check-cmd", "grep -q api {staged}")
    assert (status, out) == (1, "")
    assert f"{place.dest}: the check refuses it: " in err
    assert "Traceback" not in err
    assert place.dest.read_text() == "web 10.0.0.1:80 100\n"


def test_a_rehearsal_shows_the_difference_and_touches_nothing(
    place: Place, etcdctl: Etcdctl, prefix: str
) -> None:
    etcdctl.put(f"{prefix}/web/10.0.0.1", record("10.0.0.1"))
    status, out, _ = place.render("--dry-run")
    assert status == 3
    assert "+web 10.0.0.1:80 100" in out.splitlines()
    assert not place.dest.exists()
    place.render("--once")
    assert place.render("--dry-run")[:2] == (0, "")


def test_a_check_needs_no_etcd(place: Place) -> None:
    arguments = place.arguments
    arguments[1] = "http://127.0.0.1:1"
    assert place.render("--check")[:2] == (0, f"ok    {place.dest}\n")
    place.template.write_text("a\n{{ services.web.nothing }}")
    status, _, err = place.render("--check")
    assert status == 1
    assert "template t.j2, line 2: " in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--template", "/nowhere/t.j2"], "template /nowhere/t.j2: there is no such file"),
        (["--owner", "nobody-of-this-name"], "there is no user nobody-of-this-name"),
        (["--once", "--check"], "--once, --dry-run and --check: give one of them"),
        (["--reload", "signal:HUP"], "--reload: got 'signal:HUP'"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(place: Place, more: list[str], message: str) -> None:
    status, _, err = place.render(*more)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_bad_record_is_left_out_and_said(place: Place, etcdctl: Etcdctl, prefix: str) -> None:
    etcdctl.put(f"{prefix}/web/10.0.0.1", record("10.0.0.1"))
    etcdctl.put(f"{prefix}/web/10.0.0.2", b'{"host": "x"}')
    _, _, err = place.render("--once")
    assert place.dest.read_text() == "web 10.0.0.1:80 100\n"
    assert f"left out what is at {prefix}/web/10.0.0.2: " in err


def test_etcd_away_is_one_line(place: Place) -> None:
    place.arguments[1] = "http://127.0.0.1:1"
    status, _, err = place.render("--once")
    assert status == 1
    assert err.splitlines()[-1].startswith("secretary: etcd 127.0.0.1:1: ")


def test_a_renderer_loads_nothing_of_the_agent(place: Place) -> None:
    """Nor Docker's client: it stays small."""
    import subprocess
    import sys

    code = (
        "import sys; from secretary.cli.program import main; main(sys.argv[1:]);"
        "print([n for n in sys.modules if n.startswith('secretary.agent') or n in"
        " ('docker', 'requests')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "render", *place.arguments, "--check"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
