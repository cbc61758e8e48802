"""A reload returns when the proxy works by the new configuration, and says why it does not."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

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
from secretary.renderer.proxies import Proxies, handover
from tests.apps import free_port
from tests.system.docker_bed import Docker
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


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[NginxBed]:
    with NginxBed(tmp_path) as bed:
        yield bed


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[HaproxyBed]:
    config = "defaults\n    mode http\n    timeout client 5s\n    timeout connect 1s\n"
    config += f"    timeout server 5s\nfrontend in\n    bind {IP}:{free_port()}\n"
    with HaproxyBed(tmp_path, config) as bed:
        yield bed


def test_after_a_signal_no_old_worker_of_nginx_accepts(nginx: NginxBed) -> None:
    for _ in range(5):
        before = nginx.accepting_pids
        reload(SignalReload("HUP", str(nginx.pidfile)))
        assert nginx.accepting_pids
        assert not before & nginx.accepting_pids


def test_after_a_signal_no_old_worker_of_haproxy_listens(haproxy: HaproxyBed) -> None:
    for _ in range(3):
        before = handover.children(haproxy.pid)
        reload(SignalReload("USR2", str(haproxy.pidfile)))
        now = handover.children(haproxy.pid)
        assert any(handover.listens(pid) for pid in now - before)
        assert not any(handover.listens(pid) for pid in now & before)


def test_after_a_command_the_handover_is_seen_through_the_pid_file(nginx: NginxBed) -> None:
    before = nginx.accepting_pids
    words = ("/usr/sbin/nginx", "-e", "stderr", "-c", str(nginx.config), "-s", "reload")
    reload(CommandReload(words), nginx.pidfile)
    assert not before & nginx.accepting_pids


def test_a_configuration_that_nginx_refuses_is_a_failure(
    nginx: NginxBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "TIMEOUT_S", 1.0)
    (nginx.fragments / "bad.conf").write_text("nonsense;")
    assert "has not taken it up within 1 s" in refusal(SignalReload("HUP", str(nginx.pidfile)))
    (nginx.fragments / "bad.conf").unlink()
    reload(SignalReload("HUP", str(nginx.pidfile)))


def test_a_proxy_that_is_down_is_said(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    how = SignalReload("HUP", str(pidfile))
    assert refusal(how) == f"reload failed: {pidfile}: No such file or directory: the proxy is down"
    for text in ("", "x", "0", "-5", "1", "99999999999"):
        pidfile.write_text(text)
        assert refusal(how) == f"reload failed: {pidfile} does not hold the id of a process"
    gone = subprocess.Popen(["true"])
    gone.wait()
    pidfile.write_text(f"{gone.pid}\n")
    assert f"no process {gone.pid}, which {pidfile} names: the proxy is down" in refusal(how)


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
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{asked}\n')
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    reload(SystemdReload("nginx"), settle_s=0.0)
    assert asked.read_text() == "show -p MainPID --value nginx\nreload nginx\n"


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
