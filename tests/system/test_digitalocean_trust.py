"""Whom the DigitalOcean provider tells its token, and what the tests' API takes amiss."""

import contextlib
import socket
import ssl
import threading
from pathlib import Path

import pytest
import requests
import trustme

from secretary.core.errors import CloudAway, CloudRefused
from secretary.scaler.providers.digitalocean import open_digitalocean
from tests.clouds.digitalocean import DigitalOceanApi, digitalocean_api
from tests.clouds.digitalocean_account import PUBLIC_IMAGE
from tests.clouds.digitalocean_fixtures import NAME, TAG, api, group, opened, server
from tests.hostile import asked, hostile

__all__ = ["api", "server"]


def test_a_netrc_does_not_stand_in_for_the_token(
    api: DigitalOceanApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with opened(api) as provider:
        assert provider.machines() == []


def test_a_server_that_nobody_vouches_for_is_refused_and_not_told_the_token() -> None:
    heads = []

    def behave(connection: socket.socket, _: threading.Event) -> None:
        heads.append(asked(connection))

    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(trust)
    with hostile(behave, trust) as port:
        environ = {
            "DIGITALOCEAN_API_URL": f"https://127.0.0.1:{port}",
            "DIGITALOCEAN_TOKEN": "dop_v1_right",
        }
        with (
            contextlib.closing(open_digitalocean(group(), environ)) as provider,
            pytest.raises(CloudRefused, match=r"TLS fails: .*; see REQUESTS_CA_BUNDLE"),
        ):
            provider.machines()
    assert heads == []


def test_nobody_there_and_no_such_host_are_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for url, said in (
        (f"http://127.0.0.1:{port}", f"127.0.0.1:{port}: GET /v2/droplets is not answered: conn"),
        ("https://cloud.invalid", "cloud.invalid: GET /v2/droplets is not answered: there is no"),
    ):
        environ = {"DIGITALOCEAN_API_URL": url, "DIGITALOCEAN_TOKEN": "dop_v1_right"}
        with (
            contextlib.closing(open_digitalocean(group(), environ)) as provider,
            pytest.raises(CloudAway, match=said),
        ):
            provider.machines()


def test_a_request_that_breaks_the_specification_is_noticed() -> None:
    with digitalocean_api() as api:
        answer = requests.post(
            f"{api.url}/v2/droplets",
            json={"size": "s-1vcpu-1gb", "image": PUBLIC_IMAGE},
            headers={"Authorization": "Bearer dop_v1_right", "Connection": "close"},
            timeout=5,
        )
        assert answer.status_code == 422
        (violation,) = api.violations
        assert violation.startswith("request POST /v2/droplets: ")
        api.violations.clear()


def test_an_answer_that_breaks_the_specification_is_noticed() -> None:
    with digitalocean_api() as api:
        api.account.made(NAME, TAG).name = 5  # type: ignore[assignment]
        with opened(api) as provider, pytest.raises(CloudAway, match="cannot be read"):
            provider.machines()
        (violation,) = api.violations
        assert "answer 200 to GET /v2/droplets" in violation
        assert "5 is not of type 'string'" in violation
        api.violations.clear()


def test_what_was_noticed_fails_the_test_in_the_end() -> None:
    server = digitalocean_api()
    api = server.__enter__()
    api.violations.append("the specification was broken")
    with pytest.raises(AssertionError, match="the specification was broken"):
        server.__exit__(None, None, None)
