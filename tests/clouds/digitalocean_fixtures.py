"""DigitalOcean as the scaler has it, on its API on the loopback: fixtures to be imported."""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import pytest

from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.scaler.ports import Provider
from secretary.scaler.providers.digitalocean import DigitalOcean, Patience, open_digitalocean
from secretary.scaler.providers.digitalocean_door import Door
from secretary.scaler.providers.digitalocean_reserved import ReservedAddress, open_reserved
from secretary.scaler.providers.digitalocean_token import Token
from tests.clouds.digitalocean import DigitalOceanApi, digitalocean_api
from tests.clouds.digitalocean_account import PUBLIC_IMAGE

TAG: Final = "secretary-web"
NAME: Final = "web-0a1b2c3d"
RESERVED: Final = "203.0.113.7"
SHORT: Final = Patience(one_s=0.5, several_s=0.5, create_s=0.5)
"""For what is not answered in any time."""


@pytest.fixture(scope="module")
def server() -> Iterator[DigitalOceanApi]:
    with digitalocean_api() as api:
        yield api


@pytest.fixture
def api(server: DigitalOceanApi) -> Iterator[DigitalOceanApi]:
    server.reset()
    yield server
    server.reset()


def group(**machine: Any) -> ScaleGroup:
    given = {"image": PUBLIC_IMAGE, "size": "s-1vcpu-1gb", "region": "ams3", **machine}
    return ScaleGroup(
        name="web",
        service="shop",
        provider=ProviderName.DIGITALOCEAN,
        machine=MachineSettings(**given),
    )


@contextlib.contextmanager
def opened(api: DigitalOceanApi, **machine: Any) -> Iterator[Provider]:
    with contextlib.closing(open_digitalocean(group(**machine), api.environ())) as provider:
        yield provider


@pytest.fixture
def provider(api: DigitalOceanApi) -> Iterator[Provider]:
    with opened(api) as provider:
        yield provider


@pytest.fixture
def impatient(api: DigitalOceanApi) -> Iterator[Provider]:
    door = Door(api.url, Token(api.environ()))
    with contextlib.closing(DigitalOcean(group(), door, SHORT)) as provider:
        yield provider


@pytest.fixture
def reserved(api: DigitalOceanApi) -> Iterator[ReservedAddress]:
    """An address that nobody has yet."""
    api.account.reserved.add(RESERVED)
    with contextlib.closing(open_reserved(RESERVED, api.environ())) as opened:
        yield opened
