"""The agent as a process, beside a real app, on a real etcd."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from secretary.core import record
from secretary.devetcd import DevEtcd
from tests.apps import App, free_port
from tests.etcd_bed import Etcdctl
from tests.secretaries import IP, Secretary, run
from tests.waiting import wait_for


@pytest.fixture
def key(prefix: str) -> str:
    return f"{prefix}/web/{IP}"


def test_the_record_follows_the_app(etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str) -> None:
    with App() as app, Secretary.beside(app.port, etcd.urls, prefix) as secretary:
        seen = wait_for(lambda: etcdctl.get(key))
        instance = record.decode(key, seen.value)
        assert (instance.addr, instance.name) == (f"{IP}:{app.port}", "web")
        assert seen.lease

        app.crash()
        wait_for(lambda: etcdctl.get(key) is None)
        app.recover()
        wait_for(lambda: etcdctl.get(key))

        app.status = 500
        secretary.says("down: status 500")
        wait_for(lambda: etcdctl.get(key) is None)
        app.status = 200
        wait_for(lambda: etcdctl.get(key))

        app.hanging.set()
        secretary.says("down: timed out")
        wait_for(lambda: etcdctl.get(key) is None)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_takes_the_record_out_and_ends_with_0(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str, signum: int
) -> None:
    with App() as app, Secretary.beside(app.port, etcd.urls, prefix) as secretary:
        lease = wait_for(lambda: etcdctl.get(key)).lease
        assert secretary.stop(signum) == 0
        assert etcdctl.get(key) is None
        assert lease not in etcdctl.leases()


def test_a_killed_secretarys_lease_takes_the_record_away(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    with App() as app, Secretary.beside(app.port, etcd.urls, prefix, ttl="3s") as secretary:
        wait_for(lambda: etcdctl.get(key))
        secretary.stop(signal.SIGKILL)
        assert etcdctl.get(key) is not None
        wait_for(lambda: etcdctl.get(key) is None)


def test_a_restart_is_invisible(etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str) -> None:
    with App() as app:
        with Secretary.beside(app.port, etcd.urls, prefix) as killed:
            before = wait_for(lambda: etcdctl.get(key))
            killed.stop(signal.SIGKILL)
        with Secretary.beside(app.port, etcd.urls, prefix) as secretary:
            secretary.says("took over the record")
            after = etcdctl.get(key)
            assert after is not None
            assert after.create_revision == before.create_revision
            assert after.lease != before.lease


def test_a_found_record_whose_app_is_gone_is_removed(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    with App() as app:
        with Secretary.beside(app.port, etcd.urls, prefix, ttl="60s") as killed:
            wait_for(lambda: etcdctl.get(key))
            killed.stop(signal.SIGKILL)
        app.crash()
        with Secretary.beside(app.port, etcd.urls, prefix, "--grace", "60s"):
            wait_for(lambda: etcdctl.get(key) is None)


def test_the_steady_state_writes_nothing(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    with App() as app, Secretary.beside(app.port, own_etcd.urls, prefix, ttl="3s") as secretary:
        wait_for(lambda: own_etcdctl.get(key))
        revision = own_etcdctl.revision()
        # The lease is renewed each second: after so many probes it has been, more than once.
        probes = secretary.probes()
        wait_for(lambda: secretary.probes() > probes + 20, timeout_s=30)
        assert own_etcdctl.revision() == revision


def test_an_app_that_is_being_drained_of_waits_for_its_renderers(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    renderer = f"/secretary/renderers/{prefix.strip('/')}"
    with App() as app, Secretary.beside(app.port, etcd.urls, prefix) as secretary:
        wait_for(lambda: etcdctl.get(key))
        etcdctl.put(renderer, b'{"applied": 1}')
        try:
            secretary.process.terminate()
            wait_for(lambda: etcdctl.get(key) is None)
            assert secretary.process.poll() is None
            etcdctl.put(renderer, json.dumps({"applied": etcdctl.revision()}).encode())
            assert secretary.process.wait(5) == 0
        finally:
            etcdctl.delete(renderer)
        assert "drain timeout" not in secretary.log


def test_the_drain_timeout_ends_the_waiting(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    renderer = f"/secretary/renderers/{prefix.strip('/')}"
    with (
        App() as app,
        Secretary.beside(app.port, etcd.urls, prefix, "--drain-timeout", "500ms") as secretary,
    ):
        wait_for(lambda: etcdctl.get(key))
        etcdctl.put(renderer, b'{"applied": 1}')
        try:
            assert secretary.stop() == 0
        finally:
            etcdctl.delete(renderer)
        assert "drain timeout: not yet applied by" in secretary.log


def test_a_second_signal_ends_it_at_once(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    renderer = f"/secretary/renderers/{prefix.strip('/')}"
    with (
        App() as app,
        Secretary.beside(app.port, etcd.urls, prefix, "--drain-timeout", "60s") as secretary,
    ):
        wait_for(lambda: etcdctl.get(key))
        etcdctl.put(renderer, b'{"applied": 1}')
        try:
            secretary.process.terminate()
            secretary.says("stopping")
            assert secretary.stop(signal.SIGTERM) == 128 + signal.SIGTERM
        finally:
            etcdctl.delete(renderer)


def test_the_status_pages_tell_what_is_so(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    with App() as app, Secretary.beside(app.port, etcd.urls, prefix) as secretary:
        wait_for(lambda: etcdctl.get(key))
        wait_for(lambda: secretary.page("/readyz")[0] == 200)
        assert secretary.page("/livez")[0] == 200
        status = secretary.status()
        seen = etcdctl.get(key)
        assert seen is not None
        assert status["lease"] == f"{seen.lease:x}"
        assert (status["state"], status["place"], status["key"]) == ("up", "registered", key)
        _, metrics = secretary.page("/metrics")
        assert f'secretary_state{{key="{key}",service="web",state="up"}} 1.0' in metrics.replace(
            f'service="web",key="{key}"', f'key="{key}",service="web"'
        )
        health = run("health", "--ready", "--status", f"{IP}:{secretary.status_port}")
        assert (health.returncode, health.stdout) == (0, "registered\n")

        app.crash()
        wait_for(lambda: secretary.page("/readyz")[0] == 503)
        assert secretary.page("/livez")[0] == 200
        health = run("health", "--ready", "--status", f"{IP}:{secretary.status_port}")
        assert health.returncode == 1
        assert key in health.stderr


def test_check_finds_all_well_and_leaves_nothing_behind(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    revision = own_etcdctl.revision()
    with App() as app:
        told = run(
            *("check", "--name", "web", "--ip", IP, "--port", str(app.port), "--prefix", prefix),
            *("--probe", app.url, "--etcd", own_etcd.urls[0]),
        )
    assert told.returncode == 0, told.stdout + told.stderr
    for words in (f"{key} is free", "lease: granted", "status 200, in", "address"):
        assert words in told.stdout
    assert (own_etcdctl.revision(), own_etcdctl.leases()) == (revision, set())


def test_check_says_what_is_wrong_and_fails(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    etcdctl.put(key, b'{"ipv4_addr": "127.0.0.1", "port": 9}')
    told = run(
        *("check", "--name", "web", "--ip", IP, "--port", "1", "--prefix", prefix),
        *("--etcd", etcd.urls[0]),
    )
    assert told.returncode == 1
    assert "refused" in told.stdout
    assert "127.0.0.1:9" in told.stdout
    etcdctl.delete(key)


def test_a_reload_changes_what_changed_and_a_broken_file_nothing(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str, tmp_path: os.PathLike[str]
) -> None:
    file = os.path.join(tmp_path, "secretary.toml")

    def write(text: str) -> None:
        with open(file, "w") as out:
            out.write(text)

    with App() as app:
        settings = (
            f'name = "web"\nip = "{IP}"\nport = {app.port}\nprefix = "{prefix}"\n'
            f'etcd = {json.dumps(etcd.urls)}\nstatus = "off"\ninterval = "500ms"\n'
            'timeout = "500ms"\nfast-interval = "100ms"\n'
        )
        write(settings)
        with Secretary("--config", file) as secretary:
            before = wait_for(lambda: etcdctl.get(key))
            write(settings + "weight = 7\n")
            secretary.process.send_signal(signal.SIGHUP)
            secretary.says("updated the record")
            after = etcdctl.get(key)
            assert after is not None
            assert record.decode(key, after.value).weight == 7
            assert (after.lease, after.create_revision) == (before.lease, before.create_revision)

            write(settings + "weight = heavy\n")
            secretary.process.send_signal(signal.SIGHUP)
            secretary.says("the running settings stay")
            assert etcdctl.get(key) == after
            assert secretary.stop() == 0


def test_a_reload_moves_the_status_server_or_leaves_it_where_it_is(
    etcd: DevEtcd, prefix: str, tmp_path: Path
) -> None:
    file, port = tmp_path / "secretary.toml", free_port()

    def reload(secretary: Secretary, status: str) -> None:
        file.write_text(
            f'name = "web"\nip = "{IP}"\nport = 1\nprefix = "{prefix}"\n'
            f'etcd = {json.dumps(etcd.urls)}\nstatus = "{status}"\n'
        )
        if hasattr(secretary, "process"):
            secretary.process.send_signal(signal.SIGHUP)

    secretary = Secretary("--config", str(file))
    reload(secretary, f"{IP}:{port}")
    with secretary:
        secretary.says(f"status pages at http://{IP}:{port}")
        reload(secretary, f"0.0.0.0:{port}")
        secretary.says(f"status pages at http://0.0.0.0:{port}")
        assert secretary.page("/livez")[0] == 200
        with socket.create_server((IP, 0)) as taken:
            reload(secretary, f"{IP}:{taken.getsockname()[1]}")
            secretary.says("the running settings stay")
        assert secretary.page("/livez")[0] == 200
        assert secretary.stop() == 0


def test_several_services_run_in_one_process(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, tmp_path: os.PathLike[str]
) -> None:
    file = os.path.join(tmp_path, "secretary.toml")
    with App() as web, App() as api:
        with open(file, "w") as out:
            out.write(
                f'ip = "{IP}"\nprefix = "{prefix}"\netcd = {json.dumps(etcd.urls)}\n'
                'status = "off"\ninterval = "500ms"\ntimeout = "500ms"\n'
                f'[[service]]\nname = "web"\nport = {web.port}\n'
                f'[[service]]\nname = "api"\nport = {api.port}\n'
            )
        with Secretary("--config", file) as secretary:
            wait_for(lambda: etcdctl.get(f"{prefix}/web/{IP}"))
            wait_for(lambda: etcdctl.get(f"{prefix}/api/{IP}"))
            web.crash()
            wait_for(lambda: etcdctl.get(f"{prefix}/web/{IP}") is None)
            assert etcdctl.get(f"{prefix}/api/{IP}") is not None
            assert secretary.stop() == 0
        assert etcdctl.get(f"{prefix}/api/{IP}") is None


def test_a_wrong_setting_ends_with_2_before_anything_is_touched() -> None:
    told = run("run", "--name", "web", "--port", "http")
    assert told.returncode == 2
    assert "--port" in told.stderr
    assert "http" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_ls_lists_follows_and_reports_a_bad_record_once(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    etcdctl.put(f"{prefix}/web/10.9.9.9", b"rubbish")
    with App() as app, Secretary.beside(app.port, etcd.urls, prefix):
        wait_for(lambda: etcdctl.get(key))
        told = run("ls", "--etcd", etcd.urls[0], "--prefix", prefix, "-o", "json")
        assert [r["key"] for r in json.loads(told.stdout)] == [key]
        assert told.stderr.count(f"{prefix}/web/10.9.9.9") == 1
        proxied = run(
            *("ls", "--etcd", etcd.urls[0], "--prefix", prefix, "-o", "json"),
            http_proxy="http://127.0.0.1:1",
        )
        assert proxied.stdout == told.stdout, "a proxy of the environment is not for etcd"
        table = run("ls", "web", "--etcd", etcd.urls[0], "--prefix", prefix)
        assert f"{IP}:{app.port}" in table.stdout
