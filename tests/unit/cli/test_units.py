"""`secretary units install`: what was asked for is written, and what is wrong is refused."""

import io
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secretary.cli.program import main
from secretary.cli.surroundings import Surroundings
from secretary.cli.units import said as units_said
from secretary.cli.units import verb as units
from secretary.cli.units.pair import shipped
from secretary.cli.units.secretary import SANDBOX
from secretary.core.settings import KeyBy, RunSettings
from tests.unit.cli import unit_reader

HOUSE = Path(__file__).parents[3]
SHIPPED = HOUSE / "deploy" / "units"
PROGRAM = ("--program", "/opt/secretary/bin/secretary")
DOCKER = ("shop", "--port", "8080", "--image", "example/shop:1.4", *PROGRAM)
COMMAND = ("shop", "--port", "8080", "--exec", "/usr/bin/shop --listen :{port}", *PROGRAM)
UNIT = ("shop", "--port", "8080", "--unit", "shop.service", *PROGRAM)
SPECIFIERS = {"i": "8080", "d": "/run/credentials/shop-secretary@8080.service"}

Refused = Callable[..., str]


class RunningAgent:
    """Keeps the settings with which it is run; nobody asks it for anything else."""

    settings: RunSettings

    def run(self, settings: RunSettings, _: Callable[[], RunSettings], /) -> int:
        self.settings = settings
        return 0


def install(*arguments: str, environ: dict[str, str] | None = None) -> int:
    return main(("units", "install", *arguments), Surroundings(environ or {}))


def divided(out: str) -> dict[str, str]:
    """Each unit of `--print` by its path."""
    parts = re.split(r"^# (/\S+)\n", out, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def printed(*arguments: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """What would be written, by the names of the files."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert install(*arguments, "--print", environ=environ) == 0
    return {Path(path).name: text for path, text in divided(out.getvalue()).items()}


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    def call(*arguments: str, status: int = 2) -> str:
        assert install(*arguments) == status
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        return err

    return call


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that every user may look into, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def settings_of(unit: str) -> RunSettings:
    """The settings with which the secretary runs that systemd starts by this unit."""
    shell, option, script = unit_reader.arguments(unit, SPECIFIERS)
    assert (shell, option) == ("/bin/sh", "-c")
    export, command = script.split("; exec ", 1)
    assert export.startswith("export SECRETARY_IP=")
    program, *arguments = shlex.split(command)
    assert program == "/opt/secretary/bin/secretary"
    return _run(*arguments, environ=unit_reader.environment(unit, SPECIFIERS))


def run(*typed: str) -> RunSettings:
    """The settings of a secretary that a shell starts, with what all our units say."""
    environ = {"SECRETARY_KEY_BY": "ip-port", "SECRETARY_STATUS": "off"}
    return _run("run", *typed, environ=environ)


def _run(*arguments: str, environ: dict[str, str]) -> RunSettings:
    agent = RunningAgent()
    assert main(arguments, Surroundings(environ, agent)) == 0  # type: ignore[arg-type]
    return agent.settings


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_units_are_those_that_the_verb_writes(name: str) -> None:
    """Mend it with scripts/units --write."""
    assert (SHIPPED / name).read_text() == shipped()[name]


@pytest.mark.parametrize("name", ["secretary@.service", "secretary-host.service"])
def test_every_secretary_has_the_same_sandbox(name: str) -> None:
    assert SANDBOX in (SHIPPED / name).read_text()


def test_the_renderer_has_the_sandbox_as_far_as_a_proxy_lets_it() -> None:
    """It is root, for a proxy's files, its check and its signal are root's."""
    text = (SHIPPED / "secretary-render.service").read_text()
    assert {line for line in SANDBOX.splitlines() if line not in text.splitlines()} == {
        "DynamicUser=yes",
        "CapabilityBoundingSet=",  # it keeps five
        "MemoryDenyWriteExecute=yes",  # nginx -t may load modules that compile
        "PrivateUsers=yes",
        "ProcSubset=pid",
        "ProtectProc=invisible",  # it watches the proxy's processes
        "SystemCallFilter=~@privileged @resources",
        "UMask=0077",
    }


def test_an_app_in_docker_brings_its_secretary() -> None:
    found = printed(*DOCKER, "--container-port", "3000")
    assert list(found) == ["shop@.service", "shop-secretary@.service"]
    app, secretary = found.values()
    environ = unit_reader.environment(app, SPECIFIERS)
    assert environ == {"APP_IMAGE": "example/shop:1.4", "APP_PORT": "3000", "APP_OPTIONS": ""}
    assert "shop-secretary@%i.service" in unit_reader.of(app, "Wants")
    assert unit_reader.of(app, "WantedBy") == ["multi-user.target docker.service"]
    assert unit_reader.of(secretary, "BindsTo") == ["shop@%i.service"]


def test_an_app_in_docker_is_asked_for_an_answer() -> None:
    """A TCP connection is accepted by Docker itself."""
    (service,) = settings_of(
        printed(*DOCKER, "--method", "HEAD")["shop-secretary@.service"]
    ).services
    assert service.probe is not None
    assert (service.probe.target, service.probe.method) == ("/", "HEAD")
    (service,) = settings_of(printed(*COMMAND)["shop-secretary@.service"]).services
    assert service.probe is None


def test_an_app_that_is_a_command_gets_its_port() -> None:
    app = printed(*COMMAND)["shop@.service"]
    assert unit_reader.arguments(app, SPECIFIERS) == ["/usr/bin/shop", "--listen", ":8080"]
    assert unit_reader.environment(app, SPECIFIERS) == {"PORT": "8080"}
    assert unit_reader.of(app, "DynamicUser") == ["yes"]
    assert not unit_reader.of(app, "AmbientCapabilities")


def test_a_command_is_run_by_whom_one_says() -> None:
    app = printed("shop", "--port", "80", "--exec", "shop", "--user", "www", *PROGRAM)[
        "shop@.service"
    ]
    assert unit_reader.of(app, "User") == ["www"]
    assert not unit_reader.of(app, "DynamicUser")
    assert unit_reader.of(app, "AmbientCapabilities") == ["CAP_NET_BIND_SERVICE"]


def test_a_command_s_path_is_made_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")  # where a service sees something
    app = printed("shop", "--port", "1024", "--exec", "./shop -v", *PROGRAM)["shop@.service"]
    assert unit_reader.arguments(app, SPECIFIERS) == [str(Path.cwd() / "shop"), "-v"]


def test_a_unit_that_is_there_gets_a_secretary() -> None:
    found = printed(*UNIT)
    assert list(found) == ["shop-secretary.service", "shop-secretary.conf"]
    secretary, drop_in = found.values()
    assert unit_reader.of(drop_in, "Wants") == ["shop-secretary.service"]
    assert unit_reader.of(secretary, "BindsTo") == ["shop.service"]
    assert "shop.service" in unit_reader.of(secretary, "After")
    assert settings_of(secretary).services[0].port == 8080


def test_an_instance_that_is_there_gets_a_secretary_of_its_own() -> None:
    found = printed("shop", "--port", "8080", "--unit", "web@8080.service", *PROGRAM)
    secretary, drop_in = found.values()
    assert next(iter(found)) == "shop-secretary@8080.service"
    assert unit_reader.of(drop_in, "Wants") == ["shop-secretary@8080.service"]
    assert unit_reader.of(secretary, "BindsTo") == ["web@8080.service"]
    assert unit_reader.of(secretary, "EnvironmentFile")[-1] == "-/etc/secretary/web@8080.env"


metas = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=60)
headers = st.text(st.characters(min_codepoint=32, max_codepoint=126))
regexes = st.text(st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\0"))


@given(metas=st.lists(metas, max_size=3), header=headers, regex=regexes)
@example(metas=["a,b=c", " x ", "$HOME 50% \\ ' \""], header="  a\\  ", regex="\n\t\r ;\x7f")
@example(metas=["a", "b"], header="", regex="")
def test_the_secretary_gets_what_was_typed(metas: list[str], header: str, regex: str) -> None:
    typed = ["--probe", "/x?a=%20&b=$c", "--header", f"X-A: {header}", "--tag", "a", "--tag", "b"]
    typed += ["--expect-body", re.escape(regex)]
    for number, value in enumerate(metas):
        typed += ["--meta", f"k{number}={value}"]
    _, secretary = printed(*DOCKER, *typed).values()
    assert settings_of(secretary) == run("--name", "shop", "--port", "8080", *typed)


@pytest.mark.parametrize(
    "typed",
    [
        ["--ip", "10.0.0.5", "--weight", "7", "--ttl", "1m", "--status", "127.0.0.1:0"],
        ["--etcd", "http://a:1,http://b:2", "--etcd", "http://c", "--prefix", "/a/b"],
        ["--probe", "exec:sh -c 'exit $X; %i' \"a b\"", "--rise", "1", "--key-by", "id"],
        ["--probe", "https://x/", "--no-probe-insecure", "--expect-status", "200,204-206"],
        ["--meta", "a=b,c=d", "--log-format", "json", "--drain-timeout", "2m"],
    ],
)
def test_every_kind_of_option_comes_through(typed: list[str]) -> None:
    _, secretary = printed(*DOCKER, "--probe", "/", *typed).values()
    expected = run("--name", "shop", "--port", "8080", "--probe", "/", *typed)
    assert settings_of(secretary) == expected


@pytest.mark.parametrize(
    ("environ", "ip"),
    [
        ({}, ""),
        ({"COREOS_PUBLIC_IPV4": "3"}, "3"),
        ({"COREOS_PUBLIC_IPV4": "3", "COREOS_PRIVATE_IPV4": "2"}, "2"),
        ({"COREOS_PUBLIC_IPV4": "3", "COREOS_PRIVATE_IPV4": "2", "SECRETARY_IP": "1"}, "1"),
    ],
)
def test_the_address_is_what_is_said_or_what_coreos_says(
    environ: dict[str, str], ip: str, monkeypatch: pytest.MonkeyPatch, open_to_all: Path
) -> None:
    """No address is no word at all: the settings file's counts then, or that of the route."""
    monkeypatch.setattr(units_said, "UNSEEN", ())
    program = open_to_all / 'it\'s "50%" $HOME'
    program.write_text('#!/bin/sh\necho "$SECRETARY_IP"\nprintf "%s|" "$@"')
    program.chmod(0o755)
    unit = printed(*DOCKER, "--program", str(program), "--meta", "k=a, $b 'c' \\")
    command = unit_reader.arguments(unit["shop-secretary@.service"], SPECIFIERS)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == f"{ip}\nrun|--port|8080|--meta|k=a, $b 'c' \\|"


def test_what_the_shell_s_environment_holds_is_nobody_s_word() -> None:
    environ = {"SECRETARY_WEIGHT": "7", "SECRETARY_TTL": "none", "SECRETARY_PORT": "1"}
    assert printed(*DOCKER, environ=environ) == printed(*DOCKER)


def test_a_file_that_root_alone_may_read_is_handed_in() -> None:
    secretary = printed(
        *DOCKER, "--etcd", "https://a", "--etcd-user", "me", "--etcd-password-file", "pass word",
        "--etcd-cert", "/c/50%.pem", "--etcd-key", "/c/../k.pem",
    )["shop-secretary@.service"]  # fmt: skip
    assert unit_reader.of(secretary, "LoadCredential") == [
        f"etcd-password-file:{Path.cwd() / 'pass word'}",
        "etcd-cert:/c/50%%.pem",
        "etcd-key:/k.pem",
    ]
    etcd = settings_of(secretary).etcd
    assert etcd.password_file == f"{SPECIFIERS['d']}/etcd-password-file"
    assert (etcd.cert, etcd.key) == (f"{SPECIFIERS['d']}/etcd-cert", f"{SPECIFIERS['d']}/etcd-key")


@pytest.mark.parametrize(
    ("given", "watchdog_s"),
    [((), "10"), (("--ttl", "1h"), "10"), (("--ttl", "10"), "3.3"), (("--ttl", "2"), "1")],
)
def test_a_secretary_that_hangs_is_replaced_while_its_lease_runs(
    given: tuple[str, ...], watchdog_s: str
) -> None:
    secretary = printed(*DOCKER, *given)["shop-secretary@.service"]
    assert unit_reader.of(secretary, "WatchdogSec") == [watchdog_s]


def test_a_settings_file_is_read_where_it_is(
    monkeypatch: pytest.MonkeyPatch, open_to_all: Path
) -> None:
    """What it says already the unit does not say by itself."""
    monkeypatch.setattr(units_said, "UNSEEN", ())
    file = open_to_all / "shop.toml"
    file.write_text('ttl = 6\nkey-by = "ip"\nprobe = "tcp://:1"')
    secretary = printed(*DOCKER, "--config", str(file))["shop-secretary@.service"]
    assert unit_reader.of(secretary, "WatchdogSec") == ["2"]
    settings = settings_of(secretary)
    (service,) = settings.services
    assert service.probe is not None
    assert (service.ttl_s, service.key_by, service.probe.target) == (6, KeyBy.IP, "tcp://:1")
    assert settings.status is None


def test_a_settings_file_that_the_service_may_not_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, open_to_all: Path, refused: Refused
) -> None:
    file = open_to_all / "shop.toml"
    file.write_text("ttl = 6")
    monkeypatch.setattr(units_said, "UNSEEN", (str(open_to_all),))
    assert f"{file}: a service sees nothing in" in refused(*DOCKER, "--config", str(file))
    monkeypatch.setattr(units_said, "UNSEEN", ())
    file.chmod(0o640)
    assert f"{file}: the service runs as" in refused(*DOCKER, "--config", str(file))
    file.chmod(0o644)
    open_to_all.chmod(0o700)
    assert f"{open_to_all}: the service runs as" in refused(*DOCKER, "--config", str(file))


def test_a_container_s_secretary_is_not_a_unit_s(
    monkeypatch: pytest.MonkeyPatch, open_to_all: Path, refused: Refused
) -> None:
    monkeypatch.setattr(units_said, "UNSEEN", ())
    file = open_to_all / "shop.toml"
    file.write_text('container = "shop-1"')
    assert "--config: names a container" in refused(*DOCKER, "--config", str(file))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shop", "--port", "1"), "--image, --exec and --unit: give one of them"),
        ((*DOCKER, "--exec", "x"), "--image, --exec and --unit: give one of them"),
        ((*DOCKER, "--user", "x"), "--user: is for --exec only"),
        ((*COMMAND, "--container-port", "1"), "--container-port: is for --image only"),
        (("shop", "--image", "x"), "--port is missing"),
        (("sh op", "--image", "x", "--port", "1"), "NAME: got 'sh op', allowed: 1 to 63"),
        (("-", "--image", "x", "--port", "1"), "NAME: got '-'"),
        (("shop", "--image", "-x", "--port", "1"), "--image: got '-x'"),
        (("shop", "--exec", "'x", "--port", "1"), "--exec: got ''x' (a quotation is not closed)"),
        (("shop", "--exec", "-x a", "--port", "1"), "--exec: got '-x …' (give the program's"),
        (("shop", "--exec", "x \ufdd0", "--port", "1"), "(it holds a character that a unit file"),
        (("shop", "--unit", "web@.service", "--port", "1"), "--unit: got 'web@.service'"),
        (("shop", "--unit", "shop.socket", "--port", "1"), "--unit: got 'shop.socket'"),
        (("shop", "--unit", "../x.service", "--port", "1"), "--unit: got '../x.service'"),
        (
            ("shop", "--unit", "shop-secretary@1.service", "--port", "1", *PROGRAM),
            "--unit: shop-secretary@1.service is what the secretary's own",
        ),
        ((*DOCKER, "--port", "0"), "--port: got '0', allowed: a whole number from 1 to 65535"),
        ((*DOCKER, "--ttl", "1"), "--ttl: got '1', allowed: whole seconds"),
        ((*DOCKER, "--probe", "docker"), "--probe: docker is for a --container only"),
        ((*DOCKER, "--etcd-cert", "x"), "--etcd-cert: is for https:// only"),
        ((*DOCKER, "--etcd-user", "x"), "--etcd-user: needs --etcd-password-file"),
        ((*DOCKER, "--etcd-password-file", "x ", "--etcd-user", "x"), "--etcd-password-file: sys"),
        ((*DOCKER, "--expect-body", "\ufdd0"), "--expect-body: it holds a character"),
        ((*DOCKER, "--config", "/not/there"), "--config: /not/there: No such file"),
        ((*DOCKER, "--program", "/root/x"), "--program: /root/x: a service sees nothing in /root"),
        ((*DOCKER, "--container", "x"), "No such option '--container'"),
        ((*DOCKER, "--dir", "/not/there"), "--dir: /not/there is no directory"),
        (
            ("shop", "--exec", "/root/x", "--port", "1", *PROGRAM),
            "--exec: /root/x: a service sees nothing in /root",
        ),
        # systemd takes a user of the unit's name before it makes one up.
        (
            ("nobody", "--exec", "/bin/true", "--port", "1", *PROGRAM),
            "NAME: there is a user nobody here, who would run it: give --user nobody, or another",
        ),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    arguments: tuple[str, ...], message: str, refused: Refused, tmp_path: Path
) -> None:
    where = () if "--dir" in arguments else ("--dir", str(tmp_path))
    assert message in refused(*arguments, *where)
    assert not list(tmp_path.iterdir())


def test_it_says_what_it_wrote_and_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (*DOCKER, "--dir", str(tmp_path))
    app, secretary = tmp_path / "shop@.service", tmp_path / "shop-secretary@.service"
    begin = "\n    systemctl daemon-reload\n    systemctl enable --now shop@8080\n"
    assert install(*arguments) == 0
    assert capsys.readouterr().out == f"{app}: written\n{secretary}: written\n{begin}"
    assert install(*arguments) == 0
    assert capsys.readouterr().out == f"{app}: unchanged\n{secretary}: unchanged\n{begin}"
    assert install(*arguments, "--weight", "7") == 1
    assert capsys.readouterr() == (
        "",
        f"secretary: {secretary} is there already, and other than it would be:"
        " --force replaces it\n",
    )
    assert install(*arguments, "--weight", "7", "--force") == 0
    assert capsys.readouterr().out == (
        f"{app}: unchanged\n{secretary}: replaced\n\n    systemctl daemon-reload\n"
        "    systemctl try-restart 'shop-secretary@*.service'\n"
        "    systemctl enable --now shop@8080\n"
    )
    assert "SECRETARY_WEIGHT=7" in secretary.read_text()


def test_for_a_unit_that_is_there_the_secretary_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(*UNIT, "--dir", str(tmp_path)) == 0
    assert capsys.readouterr().out.endswith("\n    systemctl start shop-secretary\n")
    assert (tmp_path / "shop.service.d" / "shop-secretary.conf").is_file()


def test_the_secretary_that_runs_now_is_the_one_to_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called by a link on the path it is named by its own place, and as a module by its script."""
    program = tmp_path / "secretary"
    program.write_text("")
    program.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(program)
    for argv0, python in (
        (str(link), "/nowhere/python3"),
        ("/x/__main__.py", tmp_path / "python3"),
    ):
        monkeypatch.setattr(sys, "argv", [argv0])
        monkeypatch.setattr(sys, "executable", str(python))
        assert units.running() == str(program)


def test_a_secretary_that_cannot_be_told_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setattr(sys, "argv", ["/not/there/secretary"])
    monkeypatch.setattr(sys, "executable", "/not/there/python3")
    assert "--program is missing" in refused("shop", "--port", "1", "--image", "x")


def test_units_alone_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("units",), Surroundings({})) == 2
    assert "install" in capsys.readouterr().err
