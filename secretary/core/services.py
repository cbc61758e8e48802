"""One service's settings from its options: each is sound by now, here they must agree.

Options shared by several services (flags, variables, the top of the file) apply where they fit;
an option given for this service alone must fit it.
"""

from collections.abc import Iterable
from typing import Final

from secretary.core.errors import SettingsError
from secretary.core.reading import Reading
from secretary.core.settings import ProbeSettings, Rhythm, ServiceSettings
from secretary.core.target import is_http

HTTP_OPTIONS: Final = ("method", "header", "expect-status", "expect-body")
TLS_OPTIONS: Final = (
    "probe-cacert", "probe-cert", "probe-key", "probe-insecure", "probe-server-name",
)  # fmt: skip


def service(read: Reading) -> ServiceSettings:
    """Return the settings. SettingsError names the options that do not agree."""
    target: str = read["probe"] or ""
    is_https = target.startswith("https://")
    _require(read, HTTP_OPTIONS, is_http(target), "is for http:// and https:// probes only")
    _require(read, TLS_OPTIONS, is_https, "is for https:// probes only")
    if is_https:
        together(read, "probe-cert", "probe-key")
    timeout_s = _timeout_s(read)
    return ServiceSettings(
        name=read["name"],
        port=read["port"],
        ip=read["ip"],
        probe=_probe(read, target, timeout_s) if target else None,
        timeout_s=timeout_s,
        rhythm=Rhythm(
            interval_s=read["interval"],
            fast_interval_s=min(read["fast-interval"], read["interval"]),
            rise=read["rise"],
            fall=read["fall"],
            grace_s=read["grace"],
        ),
        ttl_s=read["ttl"],
        prefix=read["prefix"],
        key_by=read["key-by"],
        tags=read["tag"],
        weight=read["weight"],
        meta=read["meta"],
    )


def _probe(read: Reading, target: str, timeout_s: float) -> ProbeSettings:
    return ProbeSettings(
        target=target,
        method=read["method"],
        headers=read["header"],
        expect_status=read["expect-status"],
        expect_body=read["expect-body"],
        timeout_s=timeout_s,
        cacert=read["probe-cacert"],
        cert=read["probe-cert"],
        key=read["probe-key"],
        insecure=read["probe-insecure"],
        server_name=read["probe-server-name"],
    )


def _timeout_s(read: Reading) -> float:
    timeout_s: float = read["timeout"]
    interval_s: float = read["interval"]
    if timeout_s > interval_s and read.is_given("timeout"):
        raise SettingsError(
            f"{read.at('timeout')}: {read.shown('timeout')} is longer than the interval,"
            f" {read.shown('interval')} ({read.at('interval')}): the next probe would be due"
            " before this one has ended"
        )
    return min(timeout_s, interval_s)


def _require(read: Reading, names: Iterable[str], fits: bool, rule: str) -> None:
    for name in names:
        if read.is_own(name) and not fits:
            probe = read.shown("probe") if read.is_given("probe") else "a TCP connection"
            raise SettingsError(f"{read.at(name)}: {rule}, and the probe is {probe}")


def together(read: Reading, one: str, other: str) -> None:
    """Raise SettingsError when only one of two options is given."""
    for given, missing in ((one, other), (other, one)):
        if read.is_given(given) and not read.is_given(missing):
            raise SettingsError(f"{read.at(given)}: needs --{missing} as well")
