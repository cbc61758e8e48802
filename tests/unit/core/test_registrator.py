"""The labels and variables of registrator, as its users have them."""

import pytest

from secretary.core import registrator
from secretary.core.container import Container
from tests.unit.core.containers import container, published

ONE = (published(80, 32768),)
TWO = (published(80, 32768), published(443, 32769))


def named(of: Container, *, auto: bool = False) -> list[tuple[str, str]]:
    """Return name and port of each service."""
    layers = registrator.services(of, auto=auto)
    return [(layer["name"].texts[0], layer["port"].texts[0]) for layer in layers]


def test_a_name_makes_a_service_of_the_published_port() -> None:
    assert named(container(environ={"SERVICE_NAME": "web"}, published=ONE)) == [("web", "80")]
    assert named(container({"SERVICE_NAME": "web"}, published=ONE)) == [("web", "80")]


def test_what_is_not_published_is_no_service() -> None:
    assert named(container({"SERVICE_NAME": "web"})) == []


def test_one_name_for_several_ports_gets_the_port_behind_it() -> None:
    assert named(container({"SERVICE_NAME": "web"}, published=TWO)) == [
        ("web-80", "80"),
        ("web-443", "443"),
    ]


def test_a_name_for_a_port_is_taken_as_it_is() -> None:
    said = {"SERVICE_80_NAME": "web", "SERVICE_443_NAME": "web-tls"}
    assert named(container(said, published=TWO)) == [("web", "80"), ("web-tls", "443")]
    assert named(container({"SERVICE_80_NAME": "web"}, published=TWO)) == [("web", "80")]


def test_a_port_published_for_both_families_is_one_service() -> None:
    both = (published(80, 32768), published(80, 32768, "::"))
    assert named(container({"SERVICE_NAME": "web"}, published=both)) == [("web", "80")]


def test_a_label_wins_over_a_variable_and_a_port_over_all() -> None:
    said = container(
        {"SERVICE_TAGS": "label"},
        environ={"SERVICE_NAME": "web", "SERVICE_TAGS": "v"},
        published=ONE,
    )
    assert registrator.services(said, auto=False)[0]["tag"].texts == ("label",)
    said = container(
        {"SERVICE_NAME": "web", "SERVICE_TAGS": "all"},
        environ={"SERVICE_80_TAGS": "port,8"},
        published=ONE,
    )
    assert registrator.services(said, auto=False)[0]["tag"].texts == ("port", "8")


@pytest.mark.parametrize("ignore", ["true", "yes", "false"])
def test_any_text_ignores(ignore: str) -> None:
    said = {"SERVICE_NAME": "web", "SERVICE_IGNORE": ignore}
    assert named(container(said, published=ONE), auto=True) == []


def test_one_port_can_be_ignored() -> None:
    said = {"SERVICE_NAME": "web", "SERVICE_443_IGNORE": "1"}
    assert named(container(said, published=TWO)) == [("web-80", "80")]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.28", "nginx"),
        ("example.net:5000/team/shop:1.2", "shop"),
        ("team/shop@sha256:" + "ab" * 32, "shop"),
        ("sha256:" + "ab" * 32, "web-1"),
        ("ab" * 6, "web-1"),
    ],
)
def test_auto_calls_a_service_by_its_image(image: str, name: str) -> None:
    assert named(container(image=image, published=ONE), auto=True) == [(name, "80")]
    assert named(container(image=image, published=ONE)) == []


def test_other_labels_become_meta_and_other_variables_do_not() -> None:
    """A variable may be a secret."""
    said = container(
        {"SERVICE_NAME": "web", "SERVICE_REGION": "eu", "SERVICE_80_RACK": "7", "SERVICE_ID": "x"},
        environ={"SERVICE_PASSWORD": "hidden"},
        published=ONE,
    )
    (layer,) = registrator.services(said, auto=False)
    assert layer["meta"].texts == ("rack=7", "region=eu")


def test_a_guest_in_anothers_network_publishes_nothing() -> None:
    """A sidecar would be published as its app."""
    assert named(container({"SERVICE_NAME": "web"}, published=ONE, is_guest=True), auto=True) == []


def test_a_check_over_http_is_the_probe() -> None:
    said = {"SERVICE_NAME": "web", "SERVICE_CHECK_HTTP": "/up", "SERVICE_CHECK_INTERVAL": "15s"}
    (layer,) = registrator.services(container(said, published=ONE), auto=False)
    assert (layer["probe"].texts, layer["interval"].texts) == (("/up",), ("15s",))
    assert layer["probe"].where == "container web-1: label SERVICE_CHECK_HTTP"
    assert "meta" not in layer
