"""An operator's drain is a key of a service and an address; anything else is left out."""

import pytest

from secretary.core.drains import Drains
from secretary.core.snapshot import Change


def test_drains_come_and_go() -> None:
    drains = Drains().apply(
        5, [Change("/secretary/drain/web/10.0.0.1", b""), Change("/secretary/drain/web/::1", b"x")]
    )
    assert set(drains.endpoints.values()) == {("web", "10.0.0.1"), ("web", "::1")}
    after = drains.apply(6, [Change("/secretary/drain/web/::1", None)])
    assert (after.revision, set(after.endpoints.values())) == (6, {("web", "10.0.0.1")})
    assert not after.listed(7, []).endpoints


@pytest.mark.parametrize(
    "key",
    [
        "/secretary/drain/web",
        "/secretary/drain/web/",
        "/secretary/drain/web/host",
        "/secretary/drain/web/host:80",
        "/secretary/drain/web/10.0.0.1:",
        "/secretary/drain/web/10.0.0.999:80",
        "/secretary/drain/we b/10.0.0.1",
        "/secretary/drain/a/b/10.0.0.1",
    ],
)
def test_what_names_no_endpoint_is_left_out(key: str) -> None:
    drains = Drains().apply(1, [Change(key, b"")])
    assert not drains.endpoints
    assert list(drains.rejected) == [key]


def test_one_of_several_apps_at_an_address_is_drained_by_its_port() -> None:
    keys = ("10.0.0.1:8080", "[FD00::1]:80")
    changes = [Change(f"/secretary/drain/web/{key}", b"") for key in keys]
    assert set(Drains().apply(1, changes).endpoints.values()) == {
        ("web", "10.0.0.1:8080"),
        ("web", "[fd00::1]:80"),
    }


def test_an_address_may_be_written_in_any_form() -> None:
    drains = Drains().apply(1, [Change("/secretary/drain/web/2001:DB8:0::1", b"")])
    assert list(drains.endpoints.values()) == [("web", "2001:db8::1")]
