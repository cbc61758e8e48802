"""A secretary that starts before the network does."""

import signal
import subprocess
from collections.abc import Iterator

import pytest

from secretary.devetcd import DevEtcd
from tests.apps import App
from tests.etcd_bed import Etcdctl
from tests.secretaries import Secretary
from tests.waiting import wait_for

pytestmark = pytest.mark.root

LATE = "127.66.0.66"
"""An address of the loopback that this host does not list yet."""


@pytest.fixture
def secretary(etcd: DevEtcd, prefix: str) -> Iterator[Secretary]:
    with App() as app:
        given = ("--name", "web", "--port", str(app.port), "--ip", "127.66.0.0/16")
        quick = ("--interval", "500ms", "--fast-interval", "100ms", "--timeout", "500ms")
        probe = f"tcp://127.0.0.1:{app.port}"
        with Secretary(
            *given, *quick, "--probe", probe, "--prefix", prefix, "--etcd", ",".join(etcd.urls),
            "--status", "off",
        ) as secretary:  # fmt: skip
            yield secretary


def test_it_waits_for_an_address_to_publish(
    secretary: Secretary, etcdctl: Etcdctl, prefix: str
) -> None:
    secretary.says("no address of this host is inside")
    secretary.process.send_signal(signal.SIGHUP)
    subprocess.run(["ip", "address", "add", f"{LATE}/32", "dev", "lo"], check=True)
    try:
        wait_for(lambda: etcdctl.get(f"{prefix}/web/{LATE}"))
        assert len(secretary.complaints) == 1
        assert secretary.stop() == 0
    finally:
        subprocess.run(["ip", "address", "delete", f"{LATE}/32", "dev", "lo"], check=True)


def test_it_can_be_stopped_while_it_waits(secretary: Secretary) -> None:
    secretary.says("no address of this host is inside")
    assert secretary.stop() == 0
