"""How busy OpenStack's machines are, as Nova's diagnostics tell it."""

import logging
from typing import Any

import pytest

from secretary.scaler.ports import Provider
from tests.clouds.openstack import OpenStack
from tests.clouds.openstack_fixtures import (
    NAME,
    active,
    cloud,
    impatient,
    opened,
    provider,
    server,
)

__all__ = ["cloud", "provider", "server"]

pytestmark = pytest.mark.timeout(900)

NOBODY = "00000000-0000-4000-8000-000000000000"


def test_load_is_what_the_hypervisor_tells(cloud: OpenStack) -> None:
    with opened(cloud, user="admin") as provider:
        made = active(provider, provider.create(NAME).provider_id)
        assert provider.cpu([made.provider_id, NOBODY]) == {made.provider_id: 15.0}


def test_load_is_reckoned_from_the_time_of_the_cores(cloud: OpenStack) -> None:
    now = [100.0]

    def cores(*seconds: float) -> dict[str, Any]:
        told = [{"id": n, "time": int(s * 1e9), "utilisation": None} for n, s in enumerate(seconds)]
        return {"path": "/diagnostics", "status": 200, "body": {"cpu_details": told}}

    with impatient(cloud, lambda: now[0]) as provider:
        with cloud.fault(**cores(1000, 2000)):
            assert provider.cpu([NOBODY]) == {}
        now[0] += 10
        with cloud.fault(**cores(1009, 2006)):
            assert provider.cpu([NOBODY]) == {NOBODY: 75.0}


def test_a_user_without_diagnostics_knows_no_load_and_is_told_once(
    cloud: OpenStack, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    made = active(provider, provider.create(NAME).provider_id)
    with caplog.at_level(logging.WARNING):
        assert provider.cpu([made.provider_id]) == provider.cpu([made.provider_id]) == {}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "os_compute_api:os-server-diagnostics" in caplog.text


def test_a_host_that_is_silent_hides_its_own_machines_only(cloud: OpenStack) -> None:
    with opened(cloud, user="admin") as provider:
        one = active(provider, provider.create(NAME).provider_id).provider_id
        two = active(provider, provider.create(f"{NAME}-2").provider_id).provider_id
        with cloud.fault(path=f"{two}/diagnostics", status=500):
            assert provider.cpu([one, two]) == {one: 15.0}
