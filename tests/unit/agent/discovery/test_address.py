"""The address is chosen for a reason that is said, or refused with what could be chosen."""

import pytest

from secretary.agent.discovery.address import choose
from secretary.agent.ports import Chosen
from secretary.core.errors import AddressError
from secretary.core.settings import HostPort

E1, E2 = HostPort("10.0.0.1", 2379), HostPort("etcd-2", 2379)
HOST = [
    ("lo", "127.0.0.1"),
    ("lo", "::1"),
    ("eth0", "10.0.0.5"),
    ("eth0", "fd00::5"),
    ("eth0", "fe80::1%2"),
    ("eth1", "192.168.1.5"),
    ("eth1", "192.168.1.6"),
    ("eth2", "fd00:2::5"),
    ("eth3", "169.254.7.7"),
    ("eth4", "fd00:4::5"),
    ("eth4", "fd00:4::6"),
]


def chosen(spec: str) -> Chosen:
    return choose(spec, (), interfaces=lambda: HOST)


def toward(routes: dict[HostPort, list[str]]) -> Chosen:
    return choose("auto", tuple(routes), routes=routes.__getitem__)


def test_an_address_is_taken_as_given() -> None:
    assert chosen("10.9.9.9") == Chosen("10.9.9.9", "as given")


@pytest.mark.parametrize(
    ("spec", "ip", "why"),
    [
        ("iface:eth0", "10.0.0.5", "the only IPv4 address of eth0"),
        ("iface:eth2", "fd00:2::5", "the only IPv6 address of eth2"),
        ("iface:lo", "127.0.0.1", "the only IPv4 address of lo"),
        ("10.0.0.0/8", "10.0.0.5", "the only address inside 10.0.0.0/8, of eth0"),
        ("fd00:2::/32", "fd00:2::5", "the only address inside fd00:2::/32, of eth2"),
    ],
)
def test_an_interface_or_a_network_with_one_address_is_clear(spec: str, ip: str, why: str) -> None:
    assert chosen(spec) == Chosen(ip, why)


@pytest.mark.parametrize(
    ("spec", "candidates"),
    [
        ("iface:eth1", ["192.168.1.5", "192.168.1.6"]),
        ("iface:eth4", ["fd00:4::5", "fd00:4::6"]),
        ("192.168.0.0/16", ["192.168.1.5 (eth1)", "192.168.1.6 (eth1)"]),
        ("iface:eth3", ["eth3 has no address that others can use", "10.0.0.5 (eth0)"]),
        ("iface:wlan0", ["wlan0 has no address", "10.0.0.5 (eth0)"]),
        ("172.16.0.0/12", ["no address of this host is inside", "10.0.0.5 (eth0)"]),
        ("fe80::/10", ["no address of this host is inside"]),
    ],
)
def test_none_or_several_are_an_error_that_lists_them(spec: str, candidates: list[str]) -> None:
    with pytest.raises(AddressError) as refusal:
        chosen(spec)
    said = str(refusal.value)
    assert said.startswith(f"--ip {spec}: ")
    assert all(candidate in said for candidate in candidates)


def test_one_address_seen_twice_inside_a_network_is_still_one() -> None:
    twice = [("eth0", "10.0.0.5"), ("br0", "10.0.0.5")]
    assert choose("10.0.0.0/8", (), interfaces=lambda: twice).ip == "10.0.0.5"


def test_auto_is_the_source_of_the_route_to_etcd() -> None:
    assert toward({E1: ["10.0.0.5"], E2: ["10.0.0.5"]}) == Chosen(
        "10.0.0.5", "source address of the route to etcd 10.0.0.1:2379"
    )


def test_auto_skips_members_that_cannot_be_resolved_or_reached() -> None:
    assert toward({E1: [], E2: ["10.0.0.5"]}).why.endswith("etcd-2:2379")


def test_auto_prefers_ipv4_where_a_name_has_both() -> None:
    assert toward({E2: ["fd00::5", "10.0.0.5"]}).ip == "10.0.0.5"
    assert toward({E2: ["fe80::1%eth0", "fd00::5"]}).ip == "fd00::5"


def test_auto_takes_loopback_when_there_is_nothing_else_and_says_so() -> None:
    found = toward({E1: ["127.0.0.1"]})
    assert found.ip == "127.0.0.1"
    assert found.why.endswith("only this host can reach it")


def test_auto_takes_what_others_can_reach_over_loopback() -> None:
    assert toward({E1: ["127.0.0.1"], E2: ["10.0.0.5"]}) == Chosen(
        "10.0.0.5", "source address of the route to etcd etcd-2:2379"
    )


def test_auto_never_guesses_between_different_sources() -> None:
    with pytest.raises(AddressError) as refusal:
        toward({E1: ["10.0.0.5"], E2: ["192.168.1.5"]})
    assert str(refusal.value) == (
        "--ip auto: 10.0.0.5 (toward etcd 10.0.0.1:2379) and 192.168.1.5 (toward etcd"
        " etcd-2:2379) cannot be told apart; give the one that others can reach as --ip"
    )


@pytest.mark.parametrize("sources", [[], ["0.0.0.0"], ["fe80::1%eth0"]])
def test_auto_without_a_route_names_the_members_and_the_way_out(sources: list[str]) -> None:
    with pytest.raises(AddressError, match=r"no route to etcd at 10\.0\.0\.1:2379; .*--ip"):
        toward({E1: sources})
