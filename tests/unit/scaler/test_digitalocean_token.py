"""The token comes out of the environment or a file, and never into an error."""

from pathlib import Path

import pytest
import requests

from secretary.core.errors import SettingsError
from secretary.scaler.providers.digitalocean_token import Token


def signed(token: Token) -> str:
    request = requests.Request("GET", "http://127.0.0.1/", auth=token).prepare()
    return str(request.headers["Authorization"])


def test_a_token_is_taken_from_the_environment() -> None:
    token = Token({"DIGITALOCEAN_TOKEN": " dop_v1_a\n"})
    assert signed(token) == "Bearer dop_v1_a"
    assert not token.renewed("dop_v1_a")


def test_a_token_is_taken_from_a_file_which_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("dop_v1_a\n")
    token = Token({"DIGITALOCEAN_TOKEN_FILE": str(file)})
    assert signed(token) == "Bearer dop_v1_a"
    assert not token.renewed("dop_v1_a")
    file.write_text("dop_v1_b\n")
    assert token.renewed("dop_v1_a")
    assert signed(token) == "Bearer dop_v1_b"
    assert token.renewed("dop_v1_a"), "another thread has read it already"


@pytest.mark.parametrize("content", [None, "", "two words", "dop_v1_b\nand more"])
def test_a_file_that_went_bad_changes_nothing(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    file.write_text("dop_v1_a")
    token = Token({"DIGITALOCEAN_TOKEN_FILE": str(file)})
    file.unlink() if content is None else file.write_text(content)
    assert not token.renewed("dop_v1_a")
    assert signed(token) == "Bearer dop_v1_a"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "set DIGITALOCEAN_TOKEN or DIGITALOCEAN_TOKEN_FILE"),
        ({"DIGITALOCEAN_TOKEN": ""}, "set DIGITALOCEAN_TOKEN or"),
        ({"DIGITALOCEAN_TOKEN": "sec ret"}, "DIGITALOCEAN_TOKEN: does not hold a token"),
        ({"DIGITALOCEAN_TOKEN": "secret\r\nX: y"}, "does not hold a token"),
        ({"DIGITALOCEAN_TOKEN": "sécret"}, "does not hold a token"),
        ({"DIGITALOCEAN_TOKEN": "secret", "DIGITALOCEAN_TOKEN_FILE": "/x"}, "one of the two"),
        ({"DIGITALOCEAN_TOKEN_FILE": "/no/such"}, "DIGITALOCEAN_TOKEN_FILE: /no/such: No such"),
        ({"DIGITALOCEAN_TOKEN_FILE": "/dev/null"}, "/dev/null: does not hold a token"),
    ],
)
def test_what_is_no_token_is_a_wrong_setting(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        Token(environ)
    assert "cret" not in str(raised.value)


def test_a_private_token_s_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("dop_v1_a")
    environ = {"DIGITALOCEAN_TOKEN_FILE": str(file)}
    for mode in (0o600, 0o400, 0o700):
        file.chmod(mode)
        assert signed(Token(environ, is_private=True)) == "Bearer dop_v1_a"
    for mode in (0o640, 0o604, 0o620, 0o644, 0o601):
        file.chmod(mode)
        assert signed(Token(environ)) == "Bearer dop_v1_a"
        with pytest.raises(SettingsError, match=f"{file}: mode {mode:04o} lets others read it"):
            Token(environ, is_private=True)
