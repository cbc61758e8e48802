"""`secretary ha status|standby|online`, with Pacemaker's tools played by scripts.

They say what a real pair has said, one moment after the other.
"""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from secretary.cli.ha import cluster as door
from secretary.cli.ha.cluster import Cluster
from secretary.cli.program import main
from secretary.cli.surroundings import Surroundings
from secretary.core.errors import ClusterError
from tests.unit.cli.ha.captured import CAPTURED, banned_from_lb1
from tests.waiting import wait_for

_TOOL = "#!/bin/sh\n"
_MON = """\
n=$(cat "{here}/n"); moment=$(sed -n "${{n}}p" "{here}/moments")
[ "$n" -lt "$(wc -l <"{here}/moments")" ] && echo $((n + 1)) >"{here}/n"
cat "{captured}/$moment.xml"
"""


@dataclass(frozen=True, slots=True)
class Tools:
    """A directory of them; what crm_standby and crm_resource are told is kept."""

    here: Path

    def say(self, *moments: str) -> None:
        """Let crm_mon tell of these, one at each call, and of the last one ever after."""
        (self.here / "n").write_text("1\n")
        (self.here / "moments").write_text("".join(f"{moment}\n" for moment in moments))
        self.play("crm_mon", _MON.format(here=self.here, captured=CAPTURED))

    def play(self, tool: str, script: str) -> None:
        file = self.here / tool
        file.write_text(f"{_TOOL}{script}")
        file.chmod(0o755)

    @property
    def told(self) -> list[str]:
        """What crm_standby and crm_resource were told."""
        file = self.here / "told"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def around(self) -> Surroundings:
        return Surroundings({"PATH": f"{self.here}:/usr/bin:/bin"})

    def run(self, *arguments: str) -> int:
        return main(["ha", *arguments], self.around)


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    tools = Tools(tmp_path)
    for tool in ("crm_standby", "crm_resource"):
        tools.play(tool, f'echo "{tool} $*" >>{tmp_path}/told\n')
    tools.play("crm_node", "echo lb1\n")
    tools.say("healthy")
    return tools


# status


def test_status_shows_the_pair(tools: Tools, capsys: pytest.CaptureFixture[str]) -> None:
    assert tools.run("status") == 0
    assert capsys.readouterr().out.splitlines() == [
        "NODE  STATE   HAPROXY  FRESH  ADDRESS",
        "lb1   online  running  yes    address",
        "lb2   online  running  yes    -",
        "",
        "quorum: yes",
        "fencing: off; a node that is silent is taken for dead",
    ]


def test_status_says_what_is_wrong_and_what_to_do(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    for moment, words in (
        ("failed", ["failed: monitor of haproxy on lb2", "  crm resource cleanup haproxy lb2"]),
        ("alone", ["quorum: no", "address: nobody has it"]),
        ("maintenance", ["maintenance mode: the cluster moves nothing"]),
    ):
        tools.say(moment)
        assert tools.run("status") == 0
        lines = capsys.readouterr().out.splitlines()
        for word in words:
            assert any(line.startswith(word) for line in lines), (moment, word)


def test_status_tells_what_would_keep_the_address_from_moving(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    (tools.here / "banned").write_text(banned_from_lb1().replace('value="4"', 'value="2"', 1))
    tools.play("crm_mon", f"cat {tools.here}/banned\n")
    assert tools.run("status") == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "address: was sent away from lb1, and may not return",
        "  crm_resource --clear --resource address --node lb1",
        "lb1: reaches 2 of 4 hosts; one that reaches itself alone gives the address up",
    ]


def test_status_is_json_for_programs(tools: Tools, capsys: pytest.CaptureFixture[str]) -> None:
    assert tools.run("status", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["balancers"][0] == {
        "name": "lb1", "standing": "online", "haproxy": "running", "fresh": True,
        "addresses": ["address"], "busy": True, "reach": {"hosts": 4, "asked": 4},
    }  # fmt: skip
    assert (told["quorum"], told["failures"]) == (True, [])


# standby


def test_standby_sends_the_address_away_before_anything_stops(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    """So HAProxy goes on until the other balancer has it; afterwards the address is free again."""
    tools.say("other", "other", "moving", "healthy", "healthy", "standby")
    assert tools.run("standby", "lb2") == 0
    assert tools.told == [
        "crm_resource --ban --resource address --node lb2 --lifetime PT120S",
        "crm_standby --node lb2 --update on --lifetime forever",
        "crm_resource --clear --resource address --node lb2",
    ]
    assert capsys.readouterr().out.splitlines() == [
        "address: nobody has it",
        "address: lb1 has it",
        "lb2: standby",
        "lb2: HAProxy is stopped",
    ]


def test_standby_of_one_that_has_no_address_moves_none(tools: Tools) -> None:
    tools.say("healthy", "standby")
    assert tools.run("standby", "lb2") == 0
    assert tools.told == ["crm_standby --node lb2 --update on --lifetime forever"]


def test_standby_by_force_sends_nothing_to_one_that_cannot_take_it(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.say("stale", "moving", "standby")
    assert tools.run("standby", "lb2", "--force") == 0
    assert tools.told == ["crm_standby --node lb2 --update on --lifetime forever"]
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("lb2: standby, although the configuration of lb1 is behind")


def test_an_address_that_does_not_move_leaves_all_as_it_was(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of this host, since no other is named."""
    assert tools.run("standby", "--timeout", "1s") == 1
    assert tools.told == [
        "crm_resource --ban --resource address --node lb1 --lifetime PT61S",
        "crm_resource --clear --resource address --node lb1",
    ]
    assert capsys.readouterr().err == (
        "secretary: lb1 is not in standby: after 1 s lb1 still has address;"
        " secretary ha status shows it\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_standby_that_is_cut_short_leaves_all_as_it_was(
    tools: Tools, number: signal.Signals
) -> None:
    """As by the end of an ssh that came through the address."""
    command = [sys.executable, "-m", "secretary", "ha", "standby"]
    with subprocess.Popen(command, env=tools.around.environ, stderr=subprocess.DEVNULL) as standby:
        try:
            wait_for(lambda: tools.told, what="the address was sent away")
            standby.send_signal(number)
            assert standby.wait(30) == 130
        finally:
            standby.kill()
    assert tools.told == [
        "crm_resource --ban --resource address --node lb1 --lifetime PT120S",
        "crm_resource --clear --resource address --node lb1",
    ]


def test_a_ban_that_is_cut_short_itself_is_lifted(tools: Tools) -> None:
    """It may be in force before the tool that makes it returns."""
    tools.play("crm_resource", f'echo "$*" >>{tools.here}/told; case $1 in --ban) exit 1 ;; esac\n')
    assert tools.run("standby", "lb1") == 1
    assert [told.split()[0] for told in tools.told] == ["--ban", "--clear"]


def test_standby_refuses_when_no_other_can_take_the_place(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    for moment, words in (
        ("died", "lb1 is needed: lb2 is offline"),
        ("standby", "lb1 is needed: lb2 is standby"),
        ("alone", "lb1 is needed: the cluster has no quorum"),
    ):
        tools.say(moment)
        assert tools.run("standby", "lb1") == 1
        said = capsys.readouterr().err
        assert said.startswith(f"secretary: {words}")
        assert said.rstrip().endswith("--force takes it out anyway")
    assert tools.told == []


def test_a_standby_that_goes_on_for_too_long_says_how_far_it_is(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tools.run("standby", "lb2", "--timeout", "1s") == 1
    assert capsys.readouterr().err == (
        "secretary: lb2 is in standby, but after 1 s HAProxy is running on lb2;"
        " secretary ha status shows it\n"
    )


def test_one_that_is_in_standby_already_is_only_waited_for(tools: Tools) -> None:
    tools.say("standby")
    assert tools.run("standby", "lb2") == 0


# online


def test_online_returns_when_haproxy_runs_there_and_is_fresh(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.say("standby", "standby", "healthy")
    assert tools.run("online", "lb2") == 0
    assert tools.told == [
        f"crm_standby --node lb2 --delete --lifetime {lifetime}"
        for lifetime in ("forever", "reboot")
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lb2: no longer standby"
    assert "lb2: HAProxy is running" in lines


def test_online_lets_return_what_a_standby_cut_short_has_sent_away(tools: Tools) -> None:
    (tools.here / "banned").write_text(banned_from_lb1())
    tools.play("crm_mon", f"cat {tools.here}/banned\n")
    assert tools.run("online", "lb2") == 0
    assert not any(told.startswith("crm_resource") for told in tools.told)
    assert tools.run("online", "lb1") == 0
    assert tools.told[-1] == "crm_resource --clear --resource address --node lb1"


def test_online_of_one_that_stays_behind_says_so(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.say("stale")
    assert tools.run("online", "lb1", "--timeout", "1s") == 1
    assert "the configuration of lb1 is behind the directory, or wrong;" in capsys.readouterr().err


def test_online_of_a_host_that_is_off_waits_for_nothing(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.say("died")
    assert tools.run("online", "lb2") == 0
    assert "lb2: is offline; it serves again once it has booted" in capsys.readouterr().out


# What is wrong is one line


def test_a_node_that_there_is_not_is_a_wrong_setting(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("standby", "online"):
        assert tools.run(verb, "lb9") == 2
        assert capsys.readouterr().err == "secretary: NODE: got 'lb9', allowed: lb1, lb2\n"
        assert tools.run(verb, "") == 2  # of a variable that is not set
        assert capsys.readouterr().err == "secretary: NODE: got '', allowed: lb1, lb2\n"
        assert tools.run(verb, "--timeout", "soon") == 2
        assert "--timeout: got 'soon', allowed: a time from 1s" in capsys.readouterr().err
    assert tools.told == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 102", "crm_mon: no cluster runs here: systemctl start pacemaker"),
        ("exit 4", "crm_mon: Pacemaker lets in root and the group haclient alone"),
        ("echo so it is >&2; exit 1", "crm_mon: failed with status 1: so it is"),
        ("exit 70", "crm_mon: failed with status 70: it says nothing"),
        ("echo hello", "crm_mon: what it says is not XML"),
        ("kill -9 $$", "crm_mon: failed with status -9"),
    ],
)
def test_a_tool_that_refuses_is_one_line(
    tools: Tools, script: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.play("crm_mon", f"{script}\n")
    for verb in ("status", "standby", "online"):
        assert tools.run(verb) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"secretary: {words}")
        assert said.count("\n") == 1


def test_a_host_without_pacemaker_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="crm_mon: is not installed"):
        Cluster({"PATH": str(tmp_path)}, places=()).pair()


def test_a_tool_that_hangs_is_not_waited_for(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "DEADLINE_S", 0.2)
    tools.play("crm_mon", "exec sleep 60\n")
    with pytest.raises(ClusterError, match=r"crm_mon: no answer within 0\.2 s"):
        Cluster(tools.around.environ).pair()
