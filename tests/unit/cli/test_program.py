"""The verbs, with an agent that only says what it was asked, and the ends of the real program."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from secretary import __version__
from secretary.agent.check import Finding
from secretary.cli.program import main
from secretary.cli.surroundings import Surroundings
from secretary.core.errors import SecretaryError, SettingsError, StoreUnavailable
from secretary.core.settings import EtcdSettings, HostPort, RunSettings
from secretary.core.snapshot import Snapshot
from tests.unit.cli.records import SINCE, directory, record

WEB = ("--name", "web", "--port", "8080")


@dataclass
class FakeAgent:
    """Answers as told, and keeps what it was asked."""

    snapshots: tuple[Snapshot, ...] = (Snapshot(),)
    findings: tuple[Finding, ...] = ()
    status: tuple[bool, str] = (True, "ok\n")
    failure: BaseException | None = None
    asked: list[object] = field(default_factory=list)
    reload: Callable[[], RunSettings] | None = None

    def run(self, settings: RunSettings, reload: Callable[[], RunSettings], /) -> int:
        self.asked.append(settings)
        self.reload = reload
        if self.failure is not None:
            raise self.failure
        return 0

    def check(self, settings: RunSettings, /) -> Iterator[Finding]:
        self.asked.append(settings)
        yield from self.findings

    @contextmanager
    def directory(self, settings: EtcdSettings, prefix: str, /) -> Iterator["FakeAgent"]:
        self.asked.append((settings, prefix))
        yield self

    def snapshot(self) -> Snapshot:
        return self.snapshots[0]

    def follow(self) -> Iterator[Snapshot]:
        yield from self.snapshots
        if self.failure is not None:
            raise self.failure

    def ask_status(self, at: HostPort, page: str, /) -> tuple[bool, str]:
        self.asked.append((at, page))
        return self.status


def now() -> datetime:
    return SINCE + timedelta(hours=1)


def call(agent: FakeAgent, *arguments: str, environ: Mapping[str, str] | None = None) -> int:
    return main(arguments, Surroundings(environ or {}, agent, now))


UNASKED = FakeAgent()
"""Asked for nothing: what is refused is refused before that."""


@pytest.mark.parametrize(
    "arguments", [("run",), ("run", *WEB, "--ttl", "1"), ("ls", "--prefix", "/"), ("run", "--prot")]
)
def test_wrong_settings_end_with_2_and_one_line_before_anything_is_touched(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, Surroundings({}, UNASKED)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("secretary: ")
    assert err.count("\n") == 1


def test_a_failure_ends_with_1_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    agent = FakeAgent(failure=StoreUnavailable("no etcd\nat all"))
    assert call(agent, "run", *WEB) == 1
    assert capsys.readouterr() == ("", "secretary: no etcd at all\n")


def test_run_takes_flags_of_every_shape(capsys: pytest.CaptureFixture[str]) -> None:
    agent = FakeAgent()
    flags = ("--probe", "https://a/", "--tag", "a", "--tag", "b", "--probe-insecure")
    assert call(agent, "run", *WEB, *flags, environ={"SECRETARY_TTL": "9"}) == 0
    assert capsys.readouterr() == ("", "")
    (settings,) = agent.asked
    assert isinstance(settings, RunSettings)
    service = settings.services[0]
    assert (service.name, service.tags, service.ttl_s) == ("web", ("a", "b"), 9)
    assert service.probe is not None
    assert service.probe.insecure


def test_a_switch_can_be_turned_off_over_the_environment() -> None:
    agent = FakeAgent()
    environ = {"SECRETARY_PROBE_INSECURE": "true"}
    flags = ("--probe", "https://a/", "--no-probe-insecure")
    assert call(agent, "run", *WEB, *flags, environ=environ) == 0
    (settings,) = agent.asked
    assert isinstance(settings, RunSettings)
    assert settings.services[0].probe is not None
    assert not settings.services[0].probe.insecure


def test_a_reload_reads_the_file_again(tmp_path: Path) -> None:
    config, agent = tmp_path / "s.toml", FakeAgent()
    config.write_text("weight = 1")
    assert call(agent, "run", *WEB, "--config", str(config)) == 0
    assert agent.reload is not None
    config.write_text("weight = 2")
    assert agent.reload().services[0].weight == 2
    config.write_text("weight = -2")
    with pytest.raises(SettingsError, match="weight in "):
        agent.reload()


def test_a_file_that_is_not_there_is_a_wrong_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "s.toml")
    assert main(("ls",), Surroundings({"SECRETARY_CONFIG": path}, UNASKED)) == 2
    assert capsys.readouterr().err == f"secretary: --config: {path}: No such file or directory\n"


def test_check_says_where_settings_come_from_and_then_what_it_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    agent = FakeAgent(
        findings=(
            Finding(True, "probe", "200"),
            Finding(None, "key", "free"),
            Finding(True, "a", "b"),
        )
    )
    assert call(agent, "check", "--name", "web", environ={"SECRETARY_PORT": "8080"}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "settings  web: name = web from --name" in lines
    assert "settings  web: port = 8080 from SECRETARY_PORT" in lines
    assert any(line.startswith("settings  etcd = ") and "default" in line for line in lines)
    assert lines[-3:] == ["ok    probe: 200", "note  key: free", "ok    a: b"]


def test_check_fails_when_one_finding_does(capsys: pytest.CaptureFixture[str]) -> None:
    agent = FakeAgent(findings=(Finding(False, "etcd", "away"), Finding(True, "a", "b")))
    assert call(agent, "check", *WEB) == 1
    assert capsys.readouterr().out.endswith("FAIL  etcd: away\nok    a: b\n")


def test_ls_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    agent = FakeAgent((directory(record()),))
    assert call(agent, "ls", "--etcd", "https://a", environ={"SECRETARY_PREFIX": "/p"}) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.startswith("NAME")
    assert row.split()[:5] == ["web", "10.0.0.5:8080", "100", "up", "1h"]
    assert agent.asked == [(EtcdSettings(endpoints=(HostPort("a", 2379),), secure=True), "/p")]


def test_ls_of_nothing_says_so_on_stderr_and_is_no_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(FakeAgent(), "ls", "web") == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "secretary: nothing is registered under /services/web/\n")
    assert call(FakeAgent(), "ls", "-o", "json") == 0
    assert capsys.readouterr() == ("[]\n", "")


def test_ls_tells_of_bad_records_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    bad = {"/services/web/x": "not JSON", "/services/db/x": "not JSON"}
    agent = FakeAgent((directory(record(), rejected=bad),))
    assert call(agent, "ls", "web") == 0
    assert capsys.readouterr().err == "secretary: /services/web/x: not JSON\n"


def test_ls_watch_prints_a_line_for_each_change_and_leaves_bad_records_to_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = {"/services/web/x": "not JSON"}
    agent = FakeAgent((directory(record(), rejected=bad), directory(rejected=bad)))
    assert call(agent, "ls", "--watch") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "03:00:00Z up      web 10.0.0.5:8080 up weight=100",
        "03:00:00Z gone    web 10.0.0.5:8080",
    ]
    assert err == ""
    assert call(agent, "ls", "--watch", "-o", "json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in told] == ["up", "gone"]


def test_an_interrupted_watch_ends_quietly_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    agent = FakeAgent((), failure=KeyboardInterrupt())
    assert call(agent, "ls", "--watch") == 130
    assert "".join(capsys.readouterr()).strip() == ""


@pytest.mark.parametrize(("flags", "page"), [((), "/livez"), (("--ready",), "/readyz")])
def test_health_asks_the_status_server(flags: tuple[str, ...], page: str) -> None:
    agent = FakeAgent()
    assert call(agent, "health", *flags, environ={"SECRETARY_STATUS": "127.0.0.1:1"}) == 0
    assert agent.asked == [(HostPort("127.0.0.1", 1), page)]


def test_health_ends_with_1_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(FakeAgent(status=(False, "web: down")), "health") == 1
    assert capsys.readouterr() == ("", "web: down\n")


def test_health_cannot_ask_a_status_server_that_is_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(FakeAgent(), "health", "--status", "off") == 2
    assert "--status" in capsys.readouterr().err


def test_every_error_of_the_project_is_caught(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(FakeAgent(failure=SecretaryError("x")), "run", *WEB) == 1
    assert capsys.readouterr().err == "secretary: x\n"


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main((), Surroundings({}, UNASKED)) == 2
    assert "Usage: secretary" in capsys.readouterr().err


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )


def test_help_imports_no_agent_and_no_library_that_it_can_do_without() -> None:
    done = python(
        "import sys\n"
        "from secretary.cli.program import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = {'etcd3', 'grpc', 'requests', 'ifaddr', 'prometheus_client', 'tenacity',"
        " 'secretary.agent', 'secretary.store', 'secretary.cli.dev'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert "health" in done.stdout
    assert "dev " in done.stdout


def test_the_version_is_told_by_the_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "secretary", "--version"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stdout == f"secretary {__version__}\n"


def test_a_reader_that_goes_away_ends_it_without_a_word() -> None:
    """The read end is closed before anything is written, so that every write must fail."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "secretary", "run", "--help"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert writer.stdout is not None
    writer.stdout.close()
    assert writer.stderr is not None
    with writer.stderr as stderr:
        assert stderr.read() == ""
    assert writer.wait(timeout=30) == 1
