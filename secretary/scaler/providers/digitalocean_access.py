"""Where DigitalOcean is asked, and with which token: the environment says both."""

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from secretary.core.errors import CloudRefused, SettingsError
from secretary.scaler.providers.digitalocean_token import Token

if TYPE_CHECKING:
    from secretary.scaler.providers.digitalocean_door import Door

URL: Final = "https://api.digitalocean.com"
URL_VARIABLE: Final = "DIGITALOCEAN_API_URL"


def open_door(environ: Mapping[str, str], token: Token) -> "Door":
    """Return the door. Asks nothing yet. SettingsError for a URL; CloudRefused without pydo."""
    url = _url(environ.get(URL_VARIABLE) or URL)
    try:
        from secretary.scaler.providers.digitalocean_door import Door
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("azure", "pydo"):
            raise
        raise CloudRefused(
            "DigitalOcean needs the extra [cloud]: pip install 'secretary[cloud]'"
        ) from error
    return Door(url, token)


def _url(text: str) -> str:
    """Return where to ask. SettingsError for what would tell the token to others."""
    try:
        parts = urlsplit(text)
        host, is_plain = parts.hostname or "", parts.scheme == "http"
        is_here = is_plain and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
        if not host or parts.username is not None or not (parts.scheme == "https" or is_here):
            raise ValueError
    except ValueError as error:
        raise SettingsError(f"{URL_VARIABLE}: wants https://host, without a user") from error
    return text.rstrip("/")
