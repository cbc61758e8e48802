"""OpenStack as the scaler has it, on a real Nova on the loopback: fixtures, imported by name."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from secretary.scaler.ports import Provider, Seen, Standing
from secretary.scaler.providers.openstack import OpenStack as OpenStackProvider
from secretary.scaler.providers.openstack import Patience, open_openstack
from secretary.scaler.providers.openstack_door import Door
from secretary.scaler.providers.openstack_login import Login
from tests.clouds.openstack import OpenStack
from tests.waiting import wait_for

GROUP: Final = "web"
TAG: Final = f"secretary-{GROUP}"
NAME: Final = f"{GROUP}-0a1b2c3d"
SHORT_S: Final = 2.0
"""For what is not answered in any time. What is answered takes less, on a busy machine too."""
SHORT: Final = Patience(one_s=SHORT_S, several_s=3 * SHORT_S, create_s=SHORT_S)
_ACTIVE_S: Final = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[OpenStack]:
    with OpenStack() as server:
        yield server


@pytest.fixture
def cloud(server: OpenStack) -> Iterator[OpenStack]:
    server.mend()
    server.remove_all()
    yield server
    server.mend()
    server.remove_all()


@contextlib.contextmanager
def opened(cloud: OpenStack, user: str = "scaler", **machine: Any) -> Iterator[Provider]:
    group = cloud.group(GROUP, **machine)
    with contextlib.closing(open_openstack(group, cloud.environ(user))) as provider:
        yield provider


@contextlib.contextmanager
def impatient(
    cloud: OpenStack, clock: Callable[[], float] | None = None, user: str = "admin"
) -> Iterator[Provider]:
    """Open one that waits for no answer for long."""
    door = Door(Login(cloud.environ(user), ""), SHORT_S)
    clocks = {} if clock is None else {"clock": clock}
    made = OpenStackProvider(cloud.group(GROUP), door, SHORT, **clocks)
    with contextlib.closing(made) as provider:
        yield provider


@pytest.fixture
def provider(cloud: OpenStack) -> Iterator[Provider]:
    with opened(cloud) as provider:
        yield provider


def active(provider: Provider, id_: str) -> Seen:
    def is_active() -> Seen | None:
        found = provider.find(id_)
        return found if found is not None and found.standing is Standing.ACTIVE else None

    return wait_for(is_active, timeout_s=_ACTIVE_S)
