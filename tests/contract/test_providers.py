"""What the scaler relies on in a provider of machines, held for the fake and for the real ones.

Docker is a real daemon behind a relay that can lose answers. The clouds are API servers of the
tests, behind the libraries that their providers use for the real ones.
"""

import contextlib
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused
from secretary.core.scaling import ScaleGroup
from secretary.scaler.ports import Provider, Seen, Standing
from tests.contract.digitalocean_bed import digitalocean_bed
from tests.contract.docker_provider_bed import docker_provider_bed
from tests.contract.fake_cloud_bed import fake_cloud_bed
from tests.contract.openstack_bed import openstack_bed
from tests.contract.provider_bed import ProviderBed
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(900)

ACTIVE_S = 60.0
BEDS = {
    "fake": fake_cloud_bed,
    "digitalocean": digitalocean_bed,
    "openstack": openstack_bed,
}


@pytest.fixture(
    scope="module",
    params=[
        "fake",
        pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.root]),
        "digitalocean",
        "openstack",
    ],
)
def cloud(request: pytest.FixtureRequest) -> Iterator[ProviderBed]:
    if request.param == "docker":
        opened = docker_provider_bed(request.getfixturevalue("docker"))
    else:
        opened = BEDS[request.param]()
    with opened as bed:
        yield bed


@pytest.fixture
def bed(cloud: ProviderBed) -> Iterator[ProviderBed]:
    cloud.reset()
    yield cloud
    cloud.reset()


@pytest.fixture
def group(bed: ProviderBed) -> ScaleGroup:
    return bed.group(f"web{uuid.uuid4().hex[:6]}")


@pytest.fixture
def name(group: ScaleGroup) -> str:
    return f"{group.name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def provider(bed: ProviderBed, group: ScaleGroup) -> Iterator[Provider]:
    with contextlib.closing(bed.open(group)) as provider:
        yield provider


def listed(provider: Provider, name: str) -> Seen | None:
    return next((seen for seen in provider.machines() if seen.name == name), None)


def active(provider: Provider, name: str) -> Seen:
    def is_active_with_an_address() -> Seen | None:
        seen = listed(provider, name)
        return seen if seen and seen.standing is Standing.ACTIVE and seen.address else None

    return wait_for(is_active_with_an_address, timeout_s=ACTIVE_S)


def all_raise(kind: type[CloudError], provider: Provider, id_: str, name: str) -> list[CloudError]:
    """Ask for everything and return the errors, each of one line."""
    errors = []
    for ask in (
        provider.machines,
        lambda: provider.create(f"{name}-2"),
        lambda: provider.find(name),
        lambda: provider.find(id_),
        lambda: provider.tag(id_),
        lambda: provider.untag(id_),
        lambda: provider.delete(id_),
        lambda: provider.cpu([id_]),
    ):
        with pytest.raises(kind) as raised:
            ask()
        assert "\n" not in str(raised.value)
        errors.append(raised.value)
    return errors


def test_a_machine_is_listed_from_the_first_moment_and_becomes_active(
    provider: Provider, name: str
) -> None:
    assert provider.machines() == []
    made = provider.create(name)
    assert made.name == name
    assert made.standing is not Standing.BROKEN
    first = listed(provider, name)
    assert first is not None
    assert first.provider_id == made.provider_id
    seen = active(provider, name)
    assert (seen.provider_id, seen.created) == (made.provider_id, made.created)
    assert abs(datetime.now(UTC) - seen.created) < timedelta(minutes=5)
    assert seen.cost_class


def test_a_machine_is_found_by_its_id_and_by_its_name(provider: Provider, name: str) -> None:
    provider.create(name)
    seen = active(provider, name)
    assert provider.find(seen.provider_id) == provider.find(name) == seen
    assert provider.find(f"{name}-other") is None
    assert provider.find(name[:-1]) is None


def test_a_machine_that_is_deleted_is_gone(provider: Provider, name: str) -> None:
    made = provider.create(name)
    active(provider, name)
    assert provider.delete(made.provider_id)
    wait_for(lambda: listed(provider, name) is None, timeout_s=ACTIVE_S)
    wait_for(lambda: provider.find(name) is None, timeout_s=ACTIVE_S)
    assert provider.find(made.provider_id) is None
    assert not provider.delete(made.provider_id)


def test_a_machine_is_untagged_and_tagged_again(provider: Provider, name: str) -> None:
    provider.create(name)
    seen = active(provider, name)
    for _ in range(2):
        provider.untag(seen.provider_id)
        assert listed(provider, name) is None
        assert provider.find(name) == seen
    for _ in range(2):
        provider.tag(seen.provider_id)
        assert [each.name for each in provider.machines()] == [name]


def test_a_foreign_machine_is_listed_only_while_it_has_our_tag(
    bed: ProviderBed, provider: Provider, name: str
) -> None:
    id_ = bed.foreign(name)
    assert provider.machines() == []
    found = provider.find(name)
    assert found is not None
    assert (found.provider_id, found.name) == (id_, name)
    provider.tag(id_)
    assert [each.provider_id for each in provider.machines()] == [id_]
    provider.untag(id_)
    assert provider.machines() == []
    assert bed.named(name) == 1


def test_a_machine_that_is_gone_cannot_be_tagged_and_need_not_be_untagged(
    provider: Provider, name: str
) -> None:
    made = provider.create(name)
    active(provider, name)
    provider.delete(made.provider_id)
    wait_for(lambda: provider.find(made.provider_id) is None, timeout_s=ACTIVE_S)
    with pytest.raises(CloudRefused):
        provider.tag(made.provider_id)
    provider.untag(made.provider_id)


def test_groups_do_not_see_each_other(
    bed: ProviderBed, group: ScaleGroup, provider: Provider, name: str
) -> None:
    provider.create(name)
    longer = bed.group(f"{group.name}-2")
    with contextlib.closing(bed.open(longer)) as other:
        assert other.machines() == []
        made = other.create(f"{longer.name}-1")
        assert [each.name for each in other.machines()] == [made.name]
        assert [each.name for each in provider.machines()] == [name]
        assert other.find(name) is not None
        active(other, made.name)  # a machine that is being built need not take a tag
        other.tag(made.provider_id)
        provider.tag(made.provider_id)
        assert {each.name for each in provider.machines()} == {name, made.name}
        other.untag(made.provider_id)
        assert other.machines() == []
        assert {each.name for each in provider.machines()} == {name, made.name}


def test_a_name_that_is_taken_is_refused(bed: ProviderBed, provider: Provider, name: str) -> None:
    provider.create(name)
    with pytest.raises(CloudRefused, match=re.escape(name)):
        provider.create(name)
    assert bed.named(name) == 1


def test_an_image_that_is_gone_is_refused_and_leaves_nothing(
    bed: ProviderBed, group: ScaleGroup, name: str
) -> None:
    gone = bed.gone(group)
    with contextlib.closing(bed.open(gone)) as provider:
        with pytest.raises(CloudRefused, match=gone.machine.image):
            provider.create(name)
        assert provider.machines() == []
    assert bed.named(name) == 0


def test_a_create_whose_answer_was_lost_has_made_one_machine(
    bed: ProviderBed, provider: Provider, name: str
) -> None:
    with bed.lossy(), pytest.raises(CloudAway):
        provider.create(name)
    found = wait_for(lambda: provider.find(name))
    assert bed.named(name) == 1
    assert [each.provider_id for each in provider.machines()] == [found.provider_id]
    with pytest.raises(CloudRefused):
        provider.create(name)
    assert bed.named(name) == 1


def test_a_cloud_that_is_away_is_told_apart_and_comes_back(
    bed: ProviderBed, group: ScaleGroup, provider: Provider, name: str
) -> None:
    made = provider.create(name)
    active(provider, name)
    with bed.away(), contextlib.closing(bed.open(group)) as opened_meanwhile:
        for each in (provider, opened_meanwhile):
            all_raise(CloudAway, each, made.provider_id, name)
    assert bed.named(name) == 1
    assert bed.named(f"{name}-2") == 0
    assert active(provider, name).provider_id == made.provider_id


def test_a_cloud_that_is_busy_says_for_how_long(
    bed: ProviderBed, provider: Provider, name: str
) -> None:
    made = provider.create(name)
    active(provider, name)
    with bed.busy(7):
        for error in all_raise(CloudBusy, provider, made.provider_id, name):
            assert isinstance(error, CloudBusy)
            assert 5 <= error.retry_after_s <= 7
    assert bed.named(name) == 1
    assert bed.named(f"{name}-2") == 0
    assert active(provider, name).provider_id == made.provider_id


def test_no_page_is_forgotten(bed: ProviderBed, group: ScaleGroup, provider: Provider) -> None:
    if bed.page is None:
        return  # there are no pages, so none can be forgotten
    bed.fill(group, 2 * bed.page + 1)
    seen = provider.machines()
    assert len(seen) == len({each.provider_id for each in seen}) == 2 * bed.page + 1


def test_the_load_of_an_unknown_machine_is_left_out(provider: Provider, name: str) -> None:
    made = provider.create(name)
    active(provider, name)
    other = provider.create(f"{name}-2")
    active(provider, f"{name}-2")
    provider.delete(other.provider_id)
    wait_for(lambda: provider.find(other.provider_id) is None, timeout_s=ACTIVE_S)
    load = provider.cpu([made.provider_id, other.provider_id])
    assert set(load) <= {made.provider_id}
    assert all(0 <= each <= 100 for each in load.values())
    assert provider.cpu([]) == {}


def test_several_threads_may_ask_at_once(provider: Provider, name: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(provider.create, (f"{name}-{n}" for n in range(3))))
        lists = list(threads.map(lambda _: provider.machines(), range(4)))
    for seen in lists:
        assert {each.provider_id for each in seen} == {each.provider_id for each in made}


def test_closing_may_be_repeated(bed: ProviderBed, group: ScaleGroup) -> None:
    provider = bed.open(group)
    provider.machines()
    provider.close()
    provider.close()
