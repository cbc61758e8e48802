"""What the real host says of itself, as far as every Linux host says the same."""

from secretary.agent.discovery import host
from secretary.agent.discovery.address import choose
from secretary.core.settings import HostPort


def test_the_loopback_interface_is_found() -> None:
    assert ("lo", "127.0.0.1") in list(host.interfaces())
    assert choose("iface:lo", ()).ip == "127.0.0.1"
    assert choose("127.0.0.0/8", ()).ip.startswith("127.")


def test_the_route_to_loopback_starts_there_though_nobody_listens() -> None:
    assert host.source_addresses(HostPort("127.0.0.1", 1)) == ["127.0.0.1"]
    assert choose("auto", (HostPort("localhost", 1),)).ip in ("127.0.0.1", "::1")


def test_a_name_that_cannot_exist_has_no_route() -> None:
    assert host.source_addresses(HostPort("no-such-host.invalid", 1)) == []
    assert host.source_addresses(HostPort("a" * 70, 1)) == []
