"""Where a container's service is; what cannot be told apart is listed, never guessed."""

import pytest

from secretary.core.container import Container, NetworkMode
from secretary.core.errors import SettingsError
from secretary.core.placement import Place, place
from secretary.core.settings import Advertise, HostPort
from tests.unit.core.containers import container, published

HOST_IP = "10.0.0.5"
TWO = {"shop_front": "10.1.0.2", "shop_back": "10.2.0.2"}


def placed(
    of: Container, advertise: Advertise, network: str | None = None, port: int | None = None
) -> Place:
    return place(of, advertise, network=network, port=port, host_ip=lambda: HOST_IP)


def refusal(
    of: Container, advertise: Advertise, network: str | None = None, port: int | None = None
) -> str:
    with pytest.raises(SettingsError) as caught:
        placed(of, advertise, network, port)
    return str(caught.value)


def test_a_container_is_at_its_own_address_and_its_only_port() -> None:
    found = placed(container(), Advertise.CONTAINER)
    assert found.at == found.probe_at == HostPort("172.17.0.2", 8080)


def test_a_given_port_needs_no_declaration() -> None:
    of = container(exposed=())
    assert placed(of, Advertise.CONTAINER, port=9000).at == HostPort("172.17.0.2", 9000)


def test_several_ports_are_listed() -> None:
    said = refusal(container(exposed=(80, 443)), Advertise.CONTAINER)
    assert "several ports, 80, 443: choose by --port or the label secretary.port" in said
    assert "declares no port" in refusal(container(exposed=()), Advertise.CONTAINER)


def test_several_networks_are_listed_and_one_can_be_chosen() -> None:
    of = container(networks=TWO)
    said = refusal(of, Advertise.CONTAINER)
    assert "shop_front (10.1.0.2), shop_back (10.2.0.2)" in said
    assert "secretary.network" in said
    assert placed(of, Advertise.CONTAINER, "shop_back").at.host == "10.2.0.2"
    assert "not in network x, but in shop_front, shop_back" in refusal(of, Advertise.CONTAINER, "x")


def test_a_network_of_compose_goes_by_its_short_name_too() -> None:
    of = container({"com.docker.compose.project": "shop"}, networks=TWO)
    assert placed(of, Advertise.CONTAINER, "front").at.host == "10.1.0.2"


def test_a_container_in_no_network_is_nowhere() -> None:
    assert "is in no network" in refusal(container(networks={}), Advertise.CONTAINER)


def test_the_hosts_address_goes_with_the_port_that_it_passes_on() -> None:
    of = container(published=(published(8080, 32768),))
    found = placed(of, Advertise.HOST)
    assert found.at == HostPort(HOST_IP, 32768)
    assert found.probe_at == HostPort("172.17.0.2", 8080), "the probe asks the app itself"


def test_both_families_of_one_port_are_one_way() -> None:
    of = container(published=(published(8080, 32768), published(8080, 32768, "::")))
    assert placed(of, Advertise.HOST).at == HostPort(HOST_IP, 32768)


def test_of_two_ports_for_two_families_the_addresss_own_is_taken() -> None:
    """Docker chooses free ports for each family by itself."""
    of = container(published=(published(8080, 32771), published(8080, 32770, "::")))
    assert placed(of, Advertise.HOST).at == HostPort(HOST_IP, 32771)
    six = place(of, Advertise.HOST, network=None, port=None, host_ip=lambda: "fd00::5")
    assert six.at == HostPort("fd00::5", 32770)


def test_a_port_of_the_other_family_alone_is_refused() -> None:
    """Nobody listens there at the address that would be published."""
    of = container(published=(published(8080, 32770, "::"),))
    said = refusal(of, Advertise.HOST)
    assert "published on :: only, and the host's address is 10.0.0.5" in said


def test_a_port_published_on_one_address_is_at_that_address() -> None:
    of = container(published=(published(8080, 80, "192.0.2.7"),))
    assert placed(of, Advertise.HOST).at == HostPort("192.0.2.7", 80)


def test_a_port_that_others_cannot_reach_is_refused() -> None:
    assert "port 80 is not published" in refusal(container(), Advertise.HOST, port=80)
    assert "publishes no port" in refusal(container(), Advertise.HOST)
    local = container(published=(published(8080, 80, "127.0.0.1"),))
    assert "published on 127.0.0.1 only" in refusal(local, Advertise.HOST)


def test_a_port_published_twice_is_refused_with_both_ways() -> None:
    of = container(published=(published(8080, 80), published(8080, 81)))
    assert "10.0.0.5:80, 10.0.0.5:81: publish it once" in refusal(of, Advertise.HOST)


def test_a_container_in_the_hosts_network_is_at_the_hosts_address() -> None:
    of = container(networks={}, network_mode=NetworkMode.HOST)
    for advertise in Advertise:
        found = placed(of, advertise)
        assert found.at == found.probe_at == HostPort(HOST_IP, 8080)


def test_a_probe_is_not_held_up_by_several_networks() -> None:
    """Only what is published must not be guessed: the host reaches all of its networks."""
    of = container(networks=TWO, published=(published(8080, 80),))
    assert placed(of, Advertise.HOST).probe_at == HostPort("10.2.0.2", 8080)
    assert placed(of, Advertise.HOST, "shop_front").probe_at == HostPort("10.1.0.2", 8080)
