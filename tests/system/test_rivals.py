"""Whose key it is: what others do to it is put right, and a rival is given way or waited for."""

import pytest

from secretary.core import record
from secretary.devetcd import DevEtcd
from tests.apps import App
from tests.etcd_bed import Etcdctl, Seen
from tests.secretaries import IP, Secretary, run
from tests.waiting import stays, wait_for

MARGIN_S = 2.0
"""For machines that do other work."""
TTL_S = 3


@pytest.fixture
def key(prefix: str) -> str:
    return f"{prefix}/web/{IP}"


# Meddling


def test_a_revoked_lease_is_replaced_at_the_next_keep_alive(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    with App() as app, Secretary.beside(app.port, own_etcd.urls, prefix, ttl="3s") as secretary:
        before = wait_for(lambda: own_etcdctl.get(key))
        own_etcdctl.revoke(before.lease)
        revoked = own_etcdctl.revision()
        after = wait_for(lambda: own_etcdctl.get(key), timeout_s=TTL_S / 3 + MARGIN_S)
        assert after.lease != before.lease
        assert after.mod_revision == revoked + 1
        secretary.says("registering again")
        stays(lambda: own_etcdctl.revision() == after.mod_revision, for_s=TTL_S / 2)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"\xff\x00 rubbish",
        b'{"host":"x","ipv4_addr":"10.9.9.9","port":9}',
        b'{"host":"x","ipv4_addr":"127.0.0.1","port":%d}',
    ],
    ids=["deleted", "rubbish", "another endpoint", "the same endpoint"],
)
def test_a_key_that_somebody_meddled_with_is_put_right_once(
    own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str, key: str, value: bytes | None
) -> None:
    with App() as app, Secretary.beside(app.port, own_etcd.urls, prefix, ttl="3s") as secretary:
        before = wait_for(lambda: own_etcdctl.get(key))
        if value is None:
            own_etcdctl.delete(key)
        else:
            own_etcdctl.put(key, value.replace(b"%d", str(app.port).encode()))
        damaged = own_etcdctl.revision()
        secretary.says("put the record right: it was " + ("gone" if value is None else "altered"))
        after = own_etcdctl.get(key)
        assert after is not None
        assert (after.value, after.lease) == (before.value, before.lease)
        assert after.mod_revision == damaged + 1
        stays(lambda: own_etcdctl.revision() == after.mod_revision, for_s=TTL_S / 2)
        assert len(secretary.complaints) == 1


# Rivals


@pytest.mark.parametrize("ending", ["killed", "stopped"])
def test_the_later_of_two_on_one_endpoint_holds_the_key_and_the_first_stands_by(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str, ending: str
) -> None:
    with App() as app, Secretary.beside(app.port, etcd.urls, prefix, ttl="3s") as first:
        before = wait_for(lambda: etcdctl.get(key))
        with Secretary.beside(app.port, etcd.urls, prefix, ttl="3s") as later:
            later.says("took over the record")
            taken = etcdctl.get(key)
            assert taken is not None
            assert taken.create_revision == before.create_revision
            first.says("standing by")
            assert first.status()["place"] == "standby"
            wait_for(lambda: before.lease not in etcdctl.leases())
            # Neither writes while both know their place.
            stays(lambda: etcdctl.get(key) == taken, for_s=TTL_S)
            if ending == "stopped":
                assert later.stop() == 0
        back = wait_for(lambda: differs(etcdctl.get(key), taken))
        assert back.lease != taken.lease
        wait_for(lambda: first.status()["place"] == "registered")
        assert first.log.count("standing by") == 1


def differs(seen: Seen | None, before: Seen) -> Seen | None:
    return seen if seen != before else None


def test_a_key_that_another_port_holds_is_waited_for(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str, key: str
) -> None:
    with App() as app, App() as other, Secretary.beside(app.port, etcd.urls, prefix) as first:
        held = wait_for(lambda: etcdctl.get(key))
        with Secretary.beside(other.port, etcd.urls, prefix) as second:
            holder = f"{IP}:{app.port}, lease {held.lease:x}"
            second.says(f"the key is held by {holder}; waiting until it ends (--key-by ip-port")
            wait_for(lambda: second.status()["place"] == "conflict")
            assert second.status()["holder"] == holder
            assert second.page("/readyz")[0] == 503
            # It looks every 2 s, and says no more.
            stays(lambda: etcdctl.get(key) == held, for_s=3)
            assert len(second.complaints) == 1
            told = run(
                *("check", "--name", "web", "--ip", IP, "--port", str(other.port)),
                *("--prefix", prefix, "--probe", other.url, "--etcd", etcd.urls[0]),
            )
            assert told.returncode == 1
            assert f"{key} is held by {IP}:{app.port}" in told.stdout
            assert first.stop() == 0
            taken = wait_for(lambda: etcdctl.get(key))
            assert record.decode(key, taken.value).port == other.port
            wait_for(lambda: second.status()["place"] == "registered")
            assert second.status()["holder"] is None


def test_by_ip_and_port_two_apps_of_one_host_stand_side_by_side(
    etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    with (
        App() as app,
        App() as other,
        Secretary.beside(app.port, etcd.urls, prefix, "--key-by", "ip-port"),
        Secretary.beside(other.port, etcd.urls, prefix, "--key-by", "ip-port"),
    ):
        for port in (app.port, other.port):
            wait_for(lambda port=port: etcdctl.get(f"{prefix}/web/{IP}:{port}"))  # type: ignore[misc]
