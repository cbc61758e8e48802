"""A reload returns when the proxy works by the new configuration, and says why it does not."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from secretary.core.errors import ReloadFailed
from secretary.core.settings import (
    CommandReload,
    DockerReload,
    GroupSettings,
    Reload,
    SignalReload,
    SystemdReload,
    TemplateSettings,
)
from secretary.renderer.proxies import Proxies, processes, reloads
from secretary.renderer.proxies.handover import HandedOver
from secretary.renderer.proxies.processes import Answer
from tests.apps import free_port
from tests.system.docker_bed import CHECKOUT, Docker
from tests.system.haproxy_bed import HaproxyBed
from tests.system.nginx_bed import IP, NginxBed
from tests.waiting import wait_for


def reload(how: Reload, pidfile: Path | None = None, **more: float) -> None:
    """Reload as a group with these settings would."""
    group = GroupSettings(
        templates=(TemplateSettings(dest="/a", template="/t"),),
        reload=how,
        pidfile=str(pidfile) if pidfile else None,
        **more,  # type: ignore[arg-type]
    )
    made = Proxies().reload(group)
    assert made is not None
    made()


def refusal(how: Reload, pidfile: Path | None = None, **more: float) -> str:
    with pytest.raises(ReloadFailed) as caught:
        reload(how, pidfile, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def handed_over(how: SignalReload, pidfile: Path, **more: Any) -> HandedOver:
    """As `reload`, with a deadline of its own, to be called more than once."""
    signal_it = reloads.SignalReload(how.signal, how.pidfile)
    return HandedOver(signal_it, lambda: reloads.pid_in(str(pidfile)), 0.2, **more)


def reload_unprivileged(name: str, pidfile: Path) -> str:
    """Reload from a process of root that may not look into those of others; return its log."""
    code = f"""
import logging
from secretary.renderer.proxies.handover import HandedOver
from secretary.renderer.proxies.processes import Answer
from secretary.renderer.proxies.reloads import SignalReload, pid_in
logging.basicConfig(level=logging.INFO)
HandedOver(SignalReload({name!r}, {str(pidfile)!r}), lambda: pid_in({str(pidfile)!r}), 0.2)()
"""
    drop = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    done = subprocess.run(
        [*drop, sys.executable, "-c", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def front(port: int) -> str:
    """A configuration of haproxy, after its global section."""
    config = "defaults\n    mode http\n    timeout client 5s\n    timeout connect 1s\n"
    return f"{config}    timeout server 5s\nfrontend in\n    bind {IP}:{port}\n"


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[NginxBed]:
    with NginxBed(tmp_path) as bed:
        yield bed


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[HaproxyBed]:
    with HaproxyBed(tmp_path, front(free_port())) as bed:
        yield bed


def test_after_a_signal_no_old_worker_of_nginx_accepts(nginx: NginxBed) -> None:
    for _ in range(5):
        before = nginx.accepting_pids
        reload(SignalReload("HUP", str(nginx.pidfile)))
        assert nginx.accepting_pids
        assert not before & nginx.accepting_pids


def test_after_a_signal_no_old_worker_of_haproxy_listens(haproxy: HaproxyBed) -> None:
    """Nor is one of many reloads lost: its master forgets a signal while it starts anew."""
    for _ in range(12):
        before = processes.children(haproxy.pid)
        reload(SignalReload("USR2", str(haproxy.pidfile)))
        now = processes.children(haproxy.pid)
        assert any(processes.listeners(pid) for pid in now - before)
        assert not any(processes.listeners(pid) for pid in now & before)


def test_after_a_command_the_handover_is_seen_through_the_pid_file(nginx: NginxBed) -> None:
    before = nginx.accepting_pids
    words = ("/usr/sbin/nginx", "-e", "stderr", "-c", str(nginx.config), "-s", "reload")
    reload(CommandReload(words), nginx.pidfile)
    assert not before & nginx.accepting_pids


@pytest.mark.root
def test_without_the_right_to_look_into_workers_none_of_nginx_accepts(tmp_path: Path) -> None:
    """As in a container, where root may not look into processes of other users."""
    tmp_path.chmod(0o755)
    bed = NginxBed(tmp_path)
    bed.config.write_text(bed.config.read_text().replace("user root;", "user www-data;"))
    with bed:
        for _ in range(3):
            before = bed.accepting_pids
            assert "cannot be watched" not in reload_unprivileged("HUP", bed.pidfile)
            assert bed.accepting_pids
            assert not before & bed.accepting_pids


@pytest.mark.root
def test_without_the_right_to_look_into_workers_of_haproxy_it_settles(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    config = f"global\n    user www-data\n{front(free_port())}"
    with HaproxyBed(tmp_path, config) as bed:
        said = reload_unprivileged("USR2", bed.pidfile)
        why = f"we may not look into the workers of process {bed.pid}"
        assert f"cannot be watched ({why}): a reload counts after 0.2 s" in said


def test_a_configuration_that_nginx_refuses_is_a_failure(nginx: NginxBed) -> None:
    hup = handed_over(SignalReload("HUP", str(nginx.pidfile)), nginx.pidfile, timeout_s=1)
    (nginx.fragments / "bad.conf").write_text("nonsense;")
    with pytest.raises(ReloadFailed) as caught:
        hup()
    assert str(caught.value) == (
        f"the proxy has not taken it up within 1 s: process {nginx.pid} has no new workers;"
        " see its log"
    )
    (nginx.fragments / "bad.conf").unlink()
    hup()


def test_a_configuration_that_haproxy_refuses_is_a_failure(haproxy: HaproxyBed) -> None:
    """Its master then waits, with the old worker, for a better one."""
    usr2 = handed_over(SignalReload("USR2", str(haproxy.pidfile)), haproxy.pidfile, timeout_s=1)
    good, before = haproxy.config.read_text(), haproxy.worker_pid
    haproxy.config.write_text("nonsense\n")
    for _ in range(2):
        with pytest.raises(ReloadFailed, match="has no new workers"):
            usr2()
        assert haproxy.worker_pid == before
    haproxy.config.write_text(good)
    usr2()
    usr2()
    assert haproxy.worker_pid != before


def test_a_worker_that_does_not_stop_is_waited_for_once(
    nginx: NginxBed, caplog: pytest.LogCaptureFixture
) -> None:
    """Another reload would not end it, and only add workers."""
    hup = handed_over(SignalReload("HUP", str(nginx.pidfile)), nginx.pidfile, timeout_s=1)
    stuck = min(nginx.accepting_pids)
    os.kill(stuck, signal.SIGSTOP)
    try:
        hup()
        assert [r.message for r in caplog.records if f"process {stuck}" in r.message]
        caplog.clear()
        before = nginx.accepting_pids
        hup()
        assert not (before - {stuck}) & nginx.accepting_pids
        assert not caplog.records
    finally:
        os.kill(stuck, signal.SIGCONT)


def test_workers_without_a_title_are_told_by_what_they_listen_on(
    nginx: NginxBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown on nginx, whose old workers go on for 100 ms beside the new ones."""
    monkeypatch.setattr(processes, "title", lambda pid: "")
    for _ in range(3):
        before = nginx.accepting_pids
        reload(SignalReload("HUP", str(nginx.pidfile)))
        assert nginx.accepting_pids
        assert not before & nginx.accepting_pids


def test_a_worker_of_haproxy_that_hangs_is_waited_for_once(
    haproxy: HaproxyBed, caplog: pytest.LogCaptureFixture
) -> None:
    """The new one asks it for its listeners, and goes on without an answer after a second."""
    usr2 = handed_over(SignalReload("USR2", str(haproxy.pidfile)), haproxy.pidfile, timeout_s=3)
    stuck = haproxy.worker_pid
    os.kill(stuck, signal.SIGSTOP)
    try:
        usr2()
        assert [r.message for r in caplog.records if f"process {stuck}" in r.message]
    finally:
        os.kill(stuck, signal.SIGCONT)
    wait_for(lambda: not processes.is_running(stuck), what="it had ended")


def test_a_reload_that_another_began_is_not_taken_for_ours(haproxy: HaproxyBed) -> None:
    for _ in range(5):
        forked = haproxy.log.count("New worker")
        os.kill(haproxy.pid, signal.SIGUSR2)
        # Two signals before it starts anew are one reload, and a right one.
        wait_for(lambda: processes.answer_to(haproxy.pid, signal.SIGTERM) is Answer.ENDED)
        reload(SignalReload("USR2", str(haproxy.pidfile)))
        assert haproxy.log.count("New worker") == forked + 2
        (worker,) = (p for p in processes.children(haproxy.pid) if processes.listeners(p))
        last = [line for line in haproxy.log.splitlines() if "New worker" in line][-1]
        assert f"New worker ({worker})" in last


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


def test_stopping_ends_the_waiting(nginx: NginxBed) -> None:
    stop = threading.Event()
    stop.set()
    hup = handed_over(SignalReload("HUP", str(nginx.pidfile)), nginx.pidfile, stop=stop)
    with pytest.raises(ReloadFailed, match="it is not known whether the proxy took it up"):
        hup()


def test_a_command_may_start_the_proxy_or_replace_it(nginx: NginxBed, tmp_path: Path) -> None:
    """Its pid file is gone, or names another process: neither keeps the command from its work."""
    daemon = tmp_path / "daemon"
    daemon.mkdir()
    bed = NginxBed(daemon)
    config = bed.config.read_text().replace("daemon off;\n", "")
    bed.config.write_text(config)
    run = f"/usr/sbin/nginx -e stderr -c {bed.config}"
    quit_it = f"kill -QUIT $(cat {bed.pidfile}); while [ -e {bed.pidfile} ]; do sleep 0.02; done"
    restart = CommandReload(("/bin/sh", "-c", f"[ -e {bed.pidfile} ] && {{ {quit_it}; }}; {run}"))
    mains: list[int] = []
    try:
        for _ in range(2):
            before = processes.children(mains[-1]) if mains else frozenset()
            reload(restart, bed.pidfile)
            mains.append(int(bed.pidfile.read_text()))
            assert processes.children(mains[-1])
            assert not any(map(processes.is_running, before))
        assert mains[0] != mains[1]
    finally:
        subprocess.run(["/bin/sh", "-c", quit_it], check=True)


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


def stub_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_a_unit_is_reloaded_by_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words alone; tests with a real systemd come with the units."""
    asked = tmp_path / "asked"
    stub_systemctl(tmp_path, monkeypatch, f'echo "$@" >>{asked}')
    reload(SystemdReload("nginx"), settle_s=0.0)
    assert asked.read_text() == "show -p MainPID --value nginx\nreload nginx\n"


def test_the_handover_of_a_unit_is_seen_through_its_main_process(
    nginx: NginxBed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'case "$1" in show) echo {nginx.pid};; reload) kill -HUP {nginx.pid};; esac'
    stub_systemctl(tmp_path, monkeypatch, script)
    before = nginx.accepting_pids
    reload(SystemdReload("nginx"), settle_s=0.0)
    assert nginx.accepting_pids
    assert not before & nginx.accepting_pids


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
