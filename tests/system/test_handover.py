"""A reload returns when no worker of before accepts any more, and fails when none is replaced."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from secretary.core.errors import ReloadFailed
from secretary.core.settings import CommandReload, SignalReload, SystemdReload
from secretary.renderer.proxies import Proxies, processes, reloads
from secretary.renderer.proxies.handover import HandedOver
from secretary.renderer.proxies.processes import Answer
from tests.apps import free_port
from tests.system.docker_bed import CHECKOUT
from tests.system.haproxy_bed import HaproxyBed
from tests.system.nginx_bed import NginxBed
from tests.system.reload_bed import front, group, reload, stub_systemctl
from tests.waiting import wait_for


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


def test_the_handover_of_a_unit_is_seen_through_its_main_process(
    nginx: NginxBed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'case "$1" in show) echo {nginx.pid};; reload) kill -HUP {nginx.pid};; esac'
    stub_systemctl(tmp_path, monkeypatch, script)
    before = nginx.accepting_pids
    reload(SystemdReload("nginx"), settle_s=0.0)
    assert nginx.accepting_pids
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


def test_a_worker_that_was_only_just_forked_is_not_a_new_one(
    nginx: NginxBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its master's title for a moment, and its own a moment later."""
    title, young, looks = processes.title, max(nginx.accepting_pids), list[int]()

    def at_first_its_masters(pid: int) -> str:
        if pid == young and not looks:
            looks.append(pid)
            return title(nginx.pid)
        return title(pid)

    hup = handed_over(SignalReload("HUP", str(nginx.pidfile)), nginx.pidfile, timeout_s=1)
    (nginx.fragments / "bad.conf").write_text("nonsense;")
    monkeypatch.setattr(processes, "title", at_first_its_masters)
    with pytest.raises(ReloadFailed, match="has no new workers"):
        hup()


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


def test_a_worker_that_does_not_stop_is_waited_for_once(nginx: NginxBed) -> None:
    """Another reload would not end it, and only add workers."""
    hup = handed_over(SignalReload("HUP", str(nginx.pidfile)), nginx.pidfile, timeout_s=1)
    hup()
    stuck = min(nginx.accepting_pids)
    os.kill(stuck, signal.SIGSTOP)
    try:
        with pytest.raises(ReloadFailed, match=f"such as process {stuck}, may still accept"):
            hup()
        before = nginx.accepting_pids
        hup()
        assert not (before - {stuck}) & nginx.accepting_pids
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


def test_a_worker_of_haproxy_that_hangs_is_waited_for_once(haproxy: HaproxyBed) -> None:
    """The new one asks it for its listeners, and goes on without an answer after a second."""
    usr2 = handed_over(SignalReload("USR2", str(haproxy.pidfile)), haproxy.pidfile, timeout_s=3)
    stuck = haproxy.worker_pid
    os.kill(stuck, signal.SIGSTOP)
    try:
        with pytest.raises(ReloadFailed, match=f"such as process {stuck}, may still accept"):
            usr2()
        usr2()
    finally:
        os.kill(stuck, signal.SIGCONT)
    wait_for(lambda: not processes.is_running(stuck), what="it had ended")


def test_a_reload_that_another_began_is_not_taken_for_ours(haproxy: HaproxyBed) -> None:
    for _ in range(5):
        forked = haproxy.log.count("New worker")
        processes.ready(haproxy.pid, signal.SIGUSR2, but={Answer.HELD})
        os.kill(haproxy.pid, signal.SIGUSR2)
        # Two signals before it starts anew are one reload, and a right one.
        wait_for(lambda: processes.answer_to(haproxy.pid, signal.SIGTERM) is Answer.ENDED)
        reload(SignalReload("USR2", str(haproxy.pidfile)))
        assert haproxy.log.count("New worker") == forked + 2
        (worker,) = (p for p in processes.children(haproxy.pid) if processes.listeners(p))
        last = [line for line in haproxy.log.splitlines() if "New worker" in line][-1]
        assert f"New worker ({worker})" in last


def test_stopping_ends_the_waiting(nginx: NginxBed) -> None:
    stop = threading.Event()
    stop.set()
    hup = handed_over(SignalReload("HUP", str(nginx.pidfile)), nginx.pidfile, stop=stop)
    with pytest.raises(ReloadFailed, match="it is not known whether the proxy took it up"):
        hup()


def test_stopping_the_proxies_ends_it_too(nginx: NginxBed) -> None:
    """A group that is told to stop while nginx refuses its configuration does not wait for it."""
    (nginx.fragments / "bad.conf").write_text("nonsense;")
    proxies = Proxies()
    hup = proxies.reload(group(SignalReload("HUP", str(nginx.pidfile))))
    assert hup is not None
    timer = threading.Timer(0.3, proxies.stop)
    timer.start()
    with pytest.raises(ReloadFailed, match="it is not known whether the proxy took it up"):
        hup()
    timer.join()


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
