"""A reload asks the proxy, each in its way, and says in one line why it could not."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.core.settings import CommandReload, DockerReload, SignalReload, SystemdReload
from secretary.renderer.proxies import processes, reloads
from tests.system.docker_bed import Docker
from tests.system.nginx_bed import NginxBed
from tests.system.reload_bed import nginx_as_process_1, refusal, reload, stub_systemctl
from tests.waiting import wait_for


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[NginxBed]:
    with NginxBed(tmp_path) as bed:
        yield bed


def test_a_signal_is_not_sent_to_a_process_that_is_not_ready_for_it(tmp_path: Path) -> None:
    """HAProxy's master blocks and ignores all signals on its way up, and so forgets them."""
    ready, got, script = tmp_path / "ready", tmp_path / "got", tmp_path / "starting.py"
    script.write_text(f"""\
import pathlib, select, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGUSR2}})
pathlib.Path({str(ready)!r}).touch()
select.poll().poll(300)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.signal(signal.SIGUSR2, lambda *_: pathlib.Path({str(got)!r}).touch())
signal.pthread_sigmask(signal.SIG_UNBLOCK, {{signal.SIGUSR2}})
while True:
    select.poll().poll(50)
""")
    process = subprocess.Popen([sys.executable, script])
    try:
        (tmp_path / "pid").write_text(str(process.pid))
        wait_for(ready.exists)
        reload(SignalReload("USR2", str(tmp_path / "pid")), settle_s=0.0)
        wait_for(got.exists, timeout_s=2)
    finally:
        process.kill()
        process.wait()


def test_a_proxy_that_is_down_is_said(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    how = SignalReload("HUP", str(pidfile))
    assert refusal(how) == f"reload failed: there is no {pidfile}: the proxy is down"
    for text in ("", "x", "0", "-5", "99999999999"):
        pidfile.write_text(text)
        assert refusal(how) == f"reload failed: {pidfile} does not hold the id of a process"
    gone = subprocess.Popen(["true"])
    for _ in range(2):  # before it has been waited for, and after
        wait_for(lambda: not processes.is_running(gone.pid), what="it had ended")
        pidfile.write_text(f"{gone.pid}\n")
        assert f"no process {gone.pid}, which {pidfile} names: the proxy is down" in refusal(how)
        gone.wait()


def test_a_pid_file_that_is_being_written_anew_is_waited_for(tmp_path: Path) -> None:
    """HAProxy removes its own at each reload, and writes it a few milliseconds later."""
    pidfile = tmp_path / "pid"

    def write() -> None:
        pidfile.touch()
        threading.Timer(0.05, pidfile.write_text, ("123\n",)).start()

    timer = threading.Timer(0.05, write)
    timer.start()
    assert reloads.pid_in(str(pidfile)) == 123


def test_a_pid_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    assert refusal(SignalReload("HUP", str(tmp_path))) == (
        f"reload failed: {tmp_path}: Is a directory"
    )


def test_a_pid_file_of_a_container_is_said(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1\n")
    said = refusal(SignalReload("HUP", str(tmp_path / "pid")))
    assert "names process 1, which is the proxy only within its own container" in said
    assert f"here it is {processes.title(1)[:20]}" in said


@pytest.mark.root
def test_process_1_is_reloaded_where_it_is_the_proxy(tmp_path: Path) -> None:
    """As in a container that shares the proxy's process namespace, and is not begun by it."""
    with nginx_as_process_1(tmp_path) as nginx:
        for _ in range(3):
            before = nginx.workers
            nginx.reload_beside()
            assert nginx.workers
            assert not before & nginx.workers


def test_a_process_that_does_not_know_the_signal_is_spared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old pid file names whoever got the number since; SIGHUP would end most of them."""
    monkeypatch.setattr(processes, "READY_S", 0.2)
    process = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "pid").write_text(str(process.pid))
        said = refusal(SignalReload("HUP", str(tmp_path / "pid")))
        assert said.endswith("would be ended by SIGHUP: it is sleep 60; is the file out of date?")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_signal_that_we_may_not_send_is_said(
    nginx: NginxBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    said = refusal(SignalReload("HUP", str(nginx.pidfile)))
    monkeypatch.undo()
    assert said == (
        f"reload failed: process {nginx.pid}, which {nginx.pidfile} names, is another user's:"
        " we may not signal it"
    )


def test_a_process_without_workers_gets_its_signal(tmp_path: Path) -> None:
    got = tmp_path / "got"
    script = f"trap 'touch {got}' HUP; while :; do sleep 0.05; done"
    process = subprocess.Popen(["/bin/sh", "-c", f"{script}"], start_new_session=True)
    try:
        (tmp_path / "pid").write_text(str(process.pid))
        reload(SignalReload("HUP", str(tmp_path / "pid")), settle_s=0.0)
        wait_for(got.exists)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_command_that_fails_says_what_it_said() -> None:
    how = CommandReload(("/bin/sh", "-c", "echo no such unit; exit 5"))
    assert refusal(how) == "reload failed: /bin/sh: exit status 5: no such unit"
    how = CommandReload(("/bin/sh", "-c", "sleep 60"))
    assert refusal(how, reload_timeout_s=0.3) == (
        "reload failed: /bin/sh: not done after 0.3 s, killed"
    )


def test_a_unit_is_reloaded_by_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words alone; tests with a real systemd come with the units."""
    asked = tmp_path / "asked"
    stub_systemctl(tmp_path, monkeypatch, f'echo "$@" >>{asked}')
    reload(SystemdReload("nginx"), settle_s=0.0)
    assert asked.read_text() == "show -p MainPID --value nginx\nreload nginx\n"


def test_a_unit_that_is_not_active_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In systemctl's own words."""
    words = "nginx.service is not active, cannot reload."
    script = f'case "$1" in show) echo 0;; *) echo "{words}" >&2; exit 1;; esac'
    stub_systemctl(tmp_path, monkeypatch, script)
    assert refusal(SystemdReload("nginx")) == f"reload failed: systemctl: exit status 1: {words}"


def test_without_the_docker_package_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    assert refusal(DockerReload("web", "HUP")) == (
        "reload failed: docker: needs the extra [docker] of secretary"
    )


@pytest.mark.docker
def test_a_container_gets_its_signal(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    if docker.host is not None:
        monkeypatch.setenv("DOCKER_HOST", docker.host)
    name = f"reload-{uuid.uuid4().hex[:8]}"
    script = "trap 'echo reloaded' HUP; echo ready; while :; do sleep 0.05; done"
    docker("run", "--detach", "--name", name, docker.base_image, "/bin/sh", "-c", script)
    try:
        wait_for(lambda: "ready" in docker("logs", name).stdout)
        reload(DockerReload(name, "HUP"), settle_s=0.0)
        wait_for(lambda: "reloaded" in docker("logs", name).stdout)
        docker("kill", name)
        assert f"container {name}: " in refusal(DockerReload(name, "HUP"))
    finally:
        docker("rm", "--force", name)
    assert refusal(DockerReload(name, "HUP")) == f"reload failed: no container {name}"


# The library drops the socket that it could not connect, and does not close it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_a_docker_daemon_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert refusal(DockerReload("web", "HUP")).startswith("reload failed: Docker does not answer: ")
