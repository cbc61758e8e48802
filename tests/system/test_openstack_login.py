"""How long a login to OpenStack is good for, and what becomes of one that is not."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretary.core.errors import CloudAway, CloudRefused
from secretary.scaler.ports import Provider
from secretary.scaler.providers.openstack import open_openstack
from tests.clouds.openstack import OpenStack
from tests.clouds.openstack_fixtures import GROUP, NAME, cloud, opened, provider, server
from tests.clouds.openstack_fronts import PASSWORD

__all__ = ["cloud", "provider", "server"]

pytestmark = pytest.mark.timeout(900)

LOGIN = ("POST", "/identity/v3/auth/tokens")


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


@pytest.fixture
def by_file(cloud: OpenStack, password_file: Path) -> Iterator[Provider]:
    environ = cloud.environ(OS_PASSWORD="", OS_PASSWORD_FILE=str(password_file))
    with contextlib.closing(open_openstack(cloud.group(GROUP), environ)) as provider:
        yield provider


def test_one_login_is_enough(cloud: OpenStack, provider: Provider) -> None:
    before = cloud.asked().count(LOGIN)
    for _ in range(3):
        provider.machines()
    assert cloud.asked().count(LOGIN) == before + 1


def test_a_token_that_has_run_out_is_replaced_and_nobody_sees_it(
    cloud: OpenStack, provider: Provider
) -> None:
    provider.machines()
    cloud.revoke_tokens()
    provider.create(NAME)
    assert [each["name"] for each in cloud.servers()] == [NAME]


def test_a_token_that_runs_out_between_two_questions_makes_no_second_machine(
    cloud: OpenStack, provider: Provider
) -> None:
    provider.machines()
    with cloud.fault(method="POST", path="/servers$", status=401, times=1):
        provider.create(NAME)
    assert [each["name"] for each in cloud.servers()] == [NAME]


def test_a_wrong_password_is_refused_until_it_is_right(
    cloud: OpenStack, provider: Provider
) -> None:
    cloud.change_password("another")
    for _ in range(2):
        with pytest.raises(CloudRefused, match="is rejected: see OS_PASSWORD_FILE") as raised:
            provider.machines()
        assert PASSWORD not in str(raised.value)
    cloud.mend()
    assert provider.machines() == []


def test_a_password_that_was_changed_is_read_again(
    cloud: OpenStack, by_file: Provider, password_file: Path
) -> None:
    by_file.machines()
    password_file.write_text("another")
    cloud.change_password("another")
    cloud.revoke_tokens()
    by_file.create(NAME)
    assert [each["name"] for each in cloud.servers()] == [NAME]


def test_a_password_file_that_has_gone_is_refused_until_it_is_back(
    cloud: OpenStack, by_file: Provider, password_file: Path
) -> None:
    by_file.machines()
    password_file.unlink()
    assert by_file.machines() == []  # the token is good
    cloud.change_password("another")
    cloud.revoke_tokens()
    with pytest.raises(CloudRefused, match="is rejected"):
        by_file.machines()
    with pytest.raises(CloudRefused, match="OS_PASSWORD_FILE"):
        by_file.machines()
    password_file.write_text("another")
    assert by_file.machines() == []


def test_a_cloud_out_of_a_file_is_used_with_the_region_of_the_group(
    cloud: OpenStack, tmp_path: Path, password_file: Path
) -> None:
    (tmp_path / "clouds.yaml").write_text(
        f"""
clouds:
  lab:
    auth: {{auth_url: "{cloud.url}/identity/v3", username: scaler, project_name: lab,
           user_domain_name: Default, project_domain_name: Default}}
    compute_connect_retries: 5
    compute_status_code_retries: 5
"""
    )
    environ = {
        "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml"),
        "OS_PASSWORD_FILE": str(password_file),
    }
    group = cloud.group(GROUP, region="RegionOne")
    with contextlib.closing(open_openstack(group, environ)) as provider:
        before = len(cloud.asked())
        with cloud.fault(method="POST", path="/servers$", status=503), pytest.raises(CloudAway):
            provider.create(NAME)
        posts = [each for each in cloud.asked()[before:] if each[1].endswith("/servers")]
        assert len(posts) == 1  # whatever the file says of repeating
        provider.create(NAME)


def test_nobody_there_is_away(cloud: OpenStack) -> None:
    environ = {**cloud.environ(), "OS_AUTH_URL": "http://127.0.0.1:9/v3"}
    with (
        contextlib.closing(open_openstack(cloud.group(GROUP), environ)) as provider,
        pytest.raises(CloudAway, match="login is not answered: connection refused"),
    ):
        provider.machines()


def test_a_close_may_be_repeated_and_opens_nothing(cloud: OpenStack) -> None:
    with opened(cloud) as provider:
        provider.close()
