"""A scaler whose role in etcd is no wider than docs/scaling.md says."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from secretary.core.machine import MachineState
from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.devetcd import DevEtcd
from secretary.store.etcd import Etcd
from tests import etcd_bed
from tests.etcd_bed import ROOT_PASSWORD, Etcdctl, settings_of
from tests.records import Records
from tests.system.scaling_bed import Bed

DOCS = Path(__file__).parents[3] / "docs/scaling.md"
COMMAND = re.compile(r"^ +etcdctl (role (?:add|grant-permission) .+)$", re.MULTILINE)
GROUP = ScaleGroup(
    name="web",
    service="web",
    provider=ProviderName.DOCKER,
    machine=MachineSettings(image="app"),
    name_prefix="web",
)


@pytest.fixture
def guarded() -> Iterator[DevEtcd]:
    with etcd_bed.auth_etcd("/services") as etcd:
        yield etcd


def test_the_role_of_the_page_is_enough_for_all_that_a_scaler_does(
    guarded: DevEtcd, tmp_path: Path
) -> None:
    root = Etcdctl(guarded.urls, user=("root", ROOT_PASSWORD))
    commands = COMMAND.findall(DOCS.read_text())
    assert len(commands) > 2
    for command in commands:
        root(*command.split())
    root("user", "add", "--interactive=false", "scaler", stdin=b"secret")
    root("user", "grant-role", "scaler", "scaler")
    (tmp_path / "scaler").write_text("secret")
    (tmp_path / "root").write_text(ROOT_PASSWORD)
    with ExitStack() as stack:
        connections = []
        for user in ("scaler", "root"):
            settings = settings_of(guarded, user=user, password_file=str(tmp_path / user))
            connections.append(Etcd(settings))
            stack.callback(connections[-1].close)
        ours, all_s = connections
        bed = Bed(ours, Records(all_s, "/services"), "/services", GROUP)
        stack.callback(bed.end)
        bed.up(2)
        first, second = sorted(bed.stock())
        with bed.scaler() as (_, desk):
            desk.down(first)
        bed.turns_until(lambda: first not in bed.stock())
        with bed.scaler() as (_, desk):
            desk.forget(second)
            assert desk.adopt(second).adopted
        bed.turns_until(lambda: bed.count(MachineState.SERVING) == 1)
        assert [row.machine.id for row in desk.machines().rows] == [second]
