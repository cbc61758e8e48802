"""What a container's labels say, and how one that says nothing sound is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core import labels
from secretary.core.errors import SettingsError
from secretary.core.given import Layer
from tests.unit.core.containers import container


def texts(layer: Layer) -> dict[str, tuple[str, ...]]:
    return {option: given.texts for option, given in layer.items()}


def refusal(said: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        labels.services(container(said))
    return str(caught.value)


def test_a_label_is_the_option_of_its_name_and_says_where_it_stands() -> None:
    (layer,) = labels.services(container({"secretary.name": "web", "secretary.port": "80"}))
    assert texts(layer) == {"name": ("web",), "port": ("80",)}
    assert layer["port"].where == "container web-1: label secretary.port"


def test_tags_are_divided_by_commas_and_meta_has_a_label_for_each_key() -> None:
    said = {
        "secretary.name": "web",
        "secretary.tags": "blue, new",
        "secretary.meta.zone": "a",
        "secretary.meta.rack": "7,8=9",
    }
    (layer,) = labels.services(container(said))
    assert texts(layer)["tag"] == ("blue", "new")
    assert texts(layer)["meta"] == ("rack=7,8=9", "zone=a")


def test_an_id_makes_one_more_service() -> None:
    said = {
        "secretary.name": "web",
        "secretary.admin.name": "web-admin",
        "secretary.admin.port": "9000",
        "secretary.admin.meta.zone": "a",
    }
    plain, admin = labels.services(container(said))
    assert texts(plain) == {"name": ("web",)}
    assert texts(admin) == {"name": ("web-admin",), "port": ("9000",), "meta": ("zone=a",)}
    assert admin["port"].where == "container web-1: label secretary.admin.port"


def test_a_label_without_a_text_is_as_good_as_none() -> None:
    """What Compose makes of a variable that is not set."""
    (layer,) = labels.services(container({"secretary.name": "web", "secretary.port": ""}))
    assert texts(layer) == {"name": ("web",)}
    assert labels.services(container({"secretary.admin.name": ""})) == []
    assert labels.services(container({"secretary.name": ""})) == []


def test_the_labels_of_others_are_left_alone() -> None:
    said = {"com.docker.compose.project": "shop", "secretary": "x", "secretary-machine": "y"}
    assert labels.services(container(said)) == []


@pytest.mark.parametrize(
    ("label", "hint"),
    [
        ("secretary.prot", "did you mean port?"),
        ("secretary.admin.intervall", "did you mean interval?"),
        ("secretary.cacert", "there are "),
        ("secretary.probe-cacert", "there is no such label"),
        ("secretary.port.name", "there is no such label"),
        ("secretary.meta.", "there is no such label"),
        ("secretary.meta", "there is no such label"),
        ("secretary.a.b.name", "there is no such label"),
        ("secretary..name", "there is no such label"),
        ("secretary.", "there is no such label"),
    ],
)
def test_a_label_that_none_is_called_is_refused_by_its_name(label: str, hint: str) -> None:
    said = refusal({"secretary.name": "web", label: "x"})
    assert said.startswith(f"container web-1: label {label}: there is no such label")
    assert hint in said


def test_a_service_with_an_id_needs_a_name() -> None:
    assert refusal({"secretary.admin.port": "1"}) == (
        "container web-1: label secretary.admin.name: is missing"
    )


def test_a_key_of_meta_holds_no_equals_sign() -> None:
    """It would move into the value."""
    assert "holds '='" in refusal({"secretary.name": "web", "secretary.meta.a=b": "c"})


def test_what_cannot_be_printed_is_shown_escaped() -> None:
    assert "\\x1b" in refusal({"secretary.\x1b[2J": "x"})


@given(st.dictionaries(st.text().map(lambda text: f"secretary.{text}"), st.text(), max_size=4))
def test_any_label_is_understood_or_refused_in_one_line(said: dict[str, str]) -> None:
    try:
        labels.services(container(said))
    except SettingsError as error:
        message = str(error)
    else:
        message = ""
    assert message.isprintable()
