"""What a probe asks: the forms that a target may have, and where one leads that names no host."""

from typing import Final

from secretary.core.addresses import host_port, url, without_secrets
from secretary.core.settings import HostPort
from secretary.core.values import Kind, command

DOCKER: Final = "docker"
"""The container's own HEALTHCHECK, as Docker tells it."""
HTTP_PORT: Final = 80
_ANYWHERE: Final = HostPort("host", HTTP_PORT)


def located(target: str, at: HostPort) -> str:
    """Return the target whole: one without a host (`/path`, `tcp://:port`) leads to `at`'s."""
    if target.startswith("/"):
        return f"http://{at}{target}"
    scheme, mark, rest = target.partition("://")
    if mark and rest.startswith(":"):
        host = f"[{at.host}]" if ":" in at.host else at.host
        return f"{scheme}://{host}{rest}"
    return target


def names_no_other(target: str) -> bool:
    """Whether a target leads to the app alone: to no other host, and to no command."""
    return target == DOCKER or target != located(target, _ANYWHERE)


def is_http(target: str) -> bool:
    return target.startswith(("/", "http://", "https://"))


def _read(text: str) -> str:
    whole = located(text, _ANYWHERE)
    if whole.startswith("exec:"):
        command(whole.removeprefix("exec:"))
    elif whole.startswith("tcp://"):
        host_port(whole.removeprefix("tcp://"))
    elif whole.startswith(("http://", "https://")):
        if "#" in whole:
            raise ValueError("a fragment is never sent")
        url(whole, HTTP_PORT)
    elif whole != DOCKER:
        raise ValueError
    return text


def _show(text: str) -> str:
    # A path of ours is shown as a URL's would be: without its query.
    return f"/{without_secrets(text[1:])}" if text.startswith("/") else without_secrets(text)


OF_THE_APP: Final = "/path, http://:port/path, https://:port/path, tcp://:port or docker"
TARGET: Final = Kind(
    _read,
    "TARGET",
    "an http:// or https:// URL, tcp://host:port, exec:command with its arguments, docker for a"
    " container's HEALTHCHECK; without a host, as in /path or tcp://:port, the app's own address",
    show=_show,
)
