"""`secretary scale simulate`: what it takes, prints, draws and refuses."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from secretary.cli.simulating import simulating
from secretary.core.errors import SettingsError

CONFIG = """
[[group]]
name = "web"
image = "shop"
max = 2
[[group]]
name = "by-hand"
image = "shop"
auto = false
"""


def simulate(*arguments: str) -> None:
    simulating.main(list(arguments), standalone_mode=False)


def refusal(*arguments: str) -> str:
    with pytest.raises(SettingsError) as caught:
        simulate(*arguments)
    return str(caught.value)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "scale.toml"
    path.write_text(CONFIG)
    return str(path)


def test_it_sums_up_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    simulate("--trace", "flash")
    out, err = capsys.readouterr()
    assert [line.split("  ")[0] for line in out.splitlines()] == [
        *("trace", "machine hours", "most machines", "ups and downs", "over capacity", "flaps"),
    ]
    assert "flash, 4:00:00 hours, load up to 3.1 machines" in out
    assert "0 (downs within 300 s of an up)" in out
    assert err == ""


def test_it_explains_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    simulate("--trace", "daily", "--explain")
    first = capsys.readouterr().out.splitlines()[0]
    assert " ".join(first.split()) == (
        "7:45:10 up cpu 70.1 % over 60 s at 1 machine, at or above 70 %: 2"
    )


def test_it_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run.svg"
    simulate("--trace", "flash", "--out", str(out))
    assert ElementTree.parse(out).getroot().tag.endswith("svg")  # noqa: S314 - our own
    assert f"drawn          {out}\n" in capsys.readouterr().out


def test_flags_are_the_policy_s(capsys: pytest.CaptureFixture[str]) -> None:
    simulate("-t", "flash", "--max", "3", "--up-window", "30s", "--boot", "0s", "--explain")
    out = capsys.readouterr().out
    assert "most machines  3" in out
    assert "over 30 s" in out


def test_a_group_of_the_file_is_run_and_flags_win_over_it(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate("--trace", "flash", "--config", config, "--group", "web")
    assert "most machines  2" in capsys.readouterr().out
    simulate("--trace", "flash", "--config", config, "--group", "web", "--max", "4")
    assert "most machines  4" in capsys.readouterr().out


def test_a_recorded_trace_may_be_in_another_unit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time,load\n0,120\n3600,120\n")
    flags = ("--metric", "requests", "--capacity", "100", "--up-at", "60", "--down-at", "5")
    simulate("--trace", str(path), *flags, "--explain")
    out = capsys.readouterr().out
    assert "requests/s over 60 s" in out
    assert "load up to 1.2 machines" in out
    simulate("--trace", "flash", *flags)
    assert "load up to 3.1 machines" in capsys.readouterr().out


def test_thresholds_that_are_close_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    simulate("--trace", "flash", "--down-at", "50")
    assert "less than 30 points apart" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trace", "flash", "--out", "run.png"), "--out: got 'run.png', allowed: a name that"),
        (("--trace", "flash", "--out", "/nowhere/run.svg"), "--out: /nowhere/run.svg: No such"),
        (("--trace", "/nowhere.csv"), "--trace: /nowhere.csv: No such file"),
        (
            ("--trace", "flash", "--metric", "queue", "--up-at", "9", "--down-at", "1"),
            "--capacity: is missing",
        ),
        (("--trace", "flash", "--capacity", "0"), "--capacity: got '0'"),
        (("--trace", "flash", "--boot", "soon"), "--boot: got 'soon'"),
        (("--trace", "flash", "--min", "9"), "--min: got '9', allowed: at most max"),
        (("--trace", "flash", "--down-at", "80"), "--down-at: got '80'"),
        (("--trace", "flash", "--up-at", "8"), "--up-at: got '8', allowed: more than down-at"),
        (("--trace", "flash", "--group", "web"), "--group: needs --config"),
        (("--trace", "flash", "--config", "/nowhere"), "--config: /nowhere: No such file"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    said = refusal(*arguments)
    assert said.startswith(words)
    assert "\n" not in said


def test_a_group_has_to_be_chosen_and_to_have_a_policy(config: str) -> None:
    base = ("--trace", "flash", "--config", config)
    assert refusal(*base).endswith("scale.toml has web, by-hand")
    assert refusal(*base, "--group", "by-hand") == (
        "group by-hand: auto is false, so there is no policy"
    )
    assert "did you mean web?" in refusal(*base, "--group", "wed")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xff\xfe")
    assert refusal("--trace", str(path)).endswith("t.csv: not UTF-8")
