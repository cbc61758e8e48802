"""Which source wins, what must agree, and how a refusal reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.errors import SettingsError
from secretary.core.options import OPTIONS
from secretary.core.reading import Origin
from secretary.core.resolve import (
    Flags,
    Resolved,
    resolve,
    resolve_config,
    resolve_directory,
    resolve_status,
)
from secretary.core.settings import HostPort, KeyBy, StatusRange
from secretary.core.settings_file import ParsedFile, parse

WEB: dict[str, tuple[str, ...]] = {"name": ("web",), "port": ("8080",)}
HTTP: dict[str, tuple[str, ...]] = {**WEB, "probe": ("http://app/",)}
HTTPS: dict[str, tuple[str, ...]] = {**WEB, "probe": ("https://app/",)}
TWO = b'[[service]]\nname = "a"\nport = 1\n[[service]]\nname = "b"\nport = 2\n'


def file(content: bytes) -> ParsedFile:
    return parse("F", content)


def refusal(flags: Flags, environ: dict[str, str] | None = None, content: bytes = b"") -> str:
    with pytest.raises(SettingsError) as caught:
        resolve(flags, environ or {}, file(content))
    return str(caught.value)


def source(resolved: Resolved, option: str) -> tuple[str, str]:
    found = [origin for origin in resolved.origins if origin.option == option]
    assert len(found) == 1
    return found[0].value, found[0].source


def test_a_flag_wins_over_a_variable_a_variable_over_the_file_and_that_over_the_default() -> None:
    flags, environ, toml = {"ttl": ("5",)}, {"SECRETARY_TTL": "6"}, b"ttl = 7"
    assert source(resolve(WEB | flags, environ, file(toml)), "ttl") == ("5", "--ttl")
    assert source(resolve(WEB, environ, file(toml)), "ttl") == ("6", "SECRETARY_TTL")
    assert source(resolve(WEB, {}, file(toml)), "ttl") == ("7", "ttl in F")
    assert source(resolve(WEB, {}, None), "ttl") == ("30s", "default")


def test_a_table_of_a_service_wins_over_the_top_of_the_file() -> None:
    resolved = resolve({}, {}, file(b"ttl = 9\nweight = 1\n" + TWO + b"ttl = 4"))
    assert [service.ttl_s for service in resolved.settings.services] == [9, 4]
    assert [service.weight for service in resolved.settings.services] == [1, 1]
    assert Origin("b", "ttl", "4", "service[1].ttl in F") in resolved.origins


def test_all_of_a_service_can_come_from_the_environment() -> None:
    environ = {
        "SECRETARY_NAME": "web",
        "SECRETARY_PORT": "8080",
        "SECRETARY_PROBE": "http://app/",
        "SECRETARY_HEADER": "Host: a, b\nX-A: c\n",
        "SECRETARY_EXPECT_STATUS": "200, 404-410",
        "SECRETARY_TAG": "blue,new",
        "SECRETARY_META": "zone=a,rack=7",
        "SECRETARY_ETCD": "http://a, http://b:1",
        "SECRETARY_STATUS": "off",
        "SECRETARY_WEIGHT": "",
        "SECRETARY_SCALER_GROUP": "of another program",
    }
    settings = resolve({}, environ, None).settings
    service = settings.services[0]
    assert service.probe is not None
    assert service.probe.headers == (("Host", "a, b"), ("X-A", "c"))
    assert service.probe.expect_status == (StatusRange(200, 200), StatusRange(404, 410))
    assert (service.tags, service.meta) == (("blue", "new"), (("zone", "a"), ("rack", "7")))
    assert service.weight == 100
    assert settings.etcd.endpoints == (HostPort("a", 2379), HostPort("b", 1))
    assert settings.status is None


def test_a_flag_may_hold_what_divides_values_in_the_environment() -> None:
    flags = HTTP | {"meta": ("a=1,2", "b=3"), "header": ("Accept: a, b",), "tag": ("c,d", "e")}
    service = resolve(flags, {}, None).settings.services[0]
    assert service.meta == (("a", "1,2"), ("b", "3"))
    assert service.tags == ("c", "d", "e")
    assert service.probe is not None
    assert service.probe.headers == (("Accept", "a, b"),)


@pytest.mark.parametrize(
    ("flags", "environ", "toml", "start"),
    [
        ({"port": ("0",)}, {}, b"", "--port: got '0', allowed: a whole number from 1 to"),
        ({}, {"SECRETARY_TTL": "1s"}, b"", "SECRETARY_TTL: got '1s', allowed: whole seconds"),
        ({}, {}, b"ttl = 1", "ttl in F: got '1', allowed: whole seconds from 2s to 24h"),
        (
            {},
            {},
            b"[[service]]\nweight = -1",
            "service[0].weight in F: got '-1', allowed: a whole number from 0 to 65535",
        ),
        ({"key-by": ("x",)}, {}, b"", "--key-by: got 'x', allowed: ip, ip-port or id"),
        ({"tag": ("a", "a")}, {}, b"", "--tag: got 'a,a' (a value is given twice), allowed: "),
        ({"meta": ("a=1", "a=2")}, {}, b"", "--meta: got 'a=1,a=2' (a value is given twice)"),
        ({"etcd": ("",)}, {}, b"", "--etcd: got '' (there is none), allowed: http://host:port"),
        (
            {"etcd": ("http://a,https://b",)},
            {},
            b"",
            "--etcd: got 'http://a…' (http and https cannot be mixed), allowed: ",
        ),
        ({}, {"SECRETARY_NAME": "\udcff"}, b"", "SECRETARY_NAME: not UTF-8"),
        ({"name": ("a", "b")}, {}, b"", "--name: takes one value, got 2"),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_what_is_allowed(
    flags: dict[str, tuple[str, ...]], environ: dict[str, str], toml: bytes, start: str
) -> None:
    given = flags if "SECRETARY_NAME" in environ else WEB | flags
    assert refusal(given, environ, toml).startswith(start)


def test_a_wrong_value_that_another_source_overrides_does_no_harm() -> None:
    resolved = resolve(WEB | {"ttl": ("5",)}, {"SECRETARY_TTL": "x"}, None)
    assert resolved.settings.services[0].ttl_s == 5


@pytest.mark.parametrize("missing", ["name", "port"])
def test_a_service_needs_a_name_and_a_port(missing: str) -> None:
    flags = {name: texts for name, texts in WEB.items() if name != missing}
    assert refusal(flags) == (
        f"--{missing} is missing: give it, or SECRETARY_{missing.upper()}, or {missing} in the"
        " --config file"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            WEB | {"interval": ("1s",), "timeout": ("2s",)},
            "--timeout: 2s is longer than the interval, 1s (--interval): the next probe would be"
            " due before this one has ended",
        ),
        (
            WEB | {"expect-body": ("ok",)},
            "--expect-body: is for http:// and https:// probes only, and the probe is a TCP"
            " connection",
        ),
        (
            WEB | {"probe": ("tcp://a:1",), "header": ("A: b",)},
            "--header: is for http:// and https:// probes only, and the probe is tcp://a:1",
        ),
        (
            HTTP | {"probe-insecure": ("true",)},
            "--probe-insecure: is for https:// probes only, and the probe is http://app/",
        ),
        (HTTPS | {"probe-cert": ("c",)}, "--probe-cert: needs --probe-key as well"),
        (HTTPS | {"probe-key": ("k",)}, "--probe-key: needs --probe-cert as well"),
        (WEB | {"etcd-user": ("u",)}, "--etcd-user: needs --etcd-password-file as well"),
        (WEB | {"etcd-password-file": ("f",)}, "--etcd-password-file: needs --etcd-user as well"),
        (
            WEB | {"etcd-cacert": ("c",)},
            "--etcd-cacert: is for https:// only, and etcd is http://127.0.0.1:2379 (default)",
        ),
        (
            WEB | {"etcd": ("https://a",), "etcd-cert": ("c",)},
            "--etcd-cert: needs --etcd-key as well",
        ),
    ],
)
def test_options_that_do_not_agree_are_both_named(flags: Flags, message: str) -> None:
    assert refusal(flags) == message


def test_a_timeout_may_be_as_long_as_the_interval() -> None:
    flags = WEB | {"interval": ("3s",), "timeout": ("3s",)}
    assert resolve(flags, {}, None).settings.services[0].timeout_s == 3.0


def test_what_nobody_gave_yields_to_a_short_interval() -> None:
    service = resolve(HTTP | {"interval": ("200ms",)}, {}, None).settings.services[0]
    assert service.timeout_s == 0.2
    assert service.probe is not None
    assert service.probe.timeout_s == 0.2
    assert service.rhythm.fast_interval_s == 0.2


def test_a_flag_overrides_an_option_of_every_table() -> None:
    resolved = resolve({"interval": ("7s",)}, {}, file(TWO + b"interval = 3"))
    assert [service.rhythm.interval_s for service in resolved.settings.services] == [7.0, 7.0]


@pytest.mark.parametrize(
    ("flags", "environ", "where"),
    [({"name": ("x",)}, {}, "--name"), ({}, {"SECRETARY_PORT": "3"}, "SECRETARY_PORT")],
)
def test_a_name_or_port_from_outside_cannot_be_meant_for_several_tables(
    flags: Flags, environ: dict[str, str], where: str
) -> None:
    assert refusal(flags, environ, TWO) == (
        f"{where}: speaks of one service, and F has 2 [[service]] tables"
    )


def test_a_flag_completes_and_overrides_a_single_table() -> None:
    service = resolve({"port": ("2",)}, {}, file(TWO[: TWO.index(b"[[", 2)])).settings.services[0]
    assert (service.name, service.port) == ("a", 2)


def test_a_table_among_several_without_a_port_is_named() -> None:
    assert refusal({}, {}, TWO + b'[[service]]\nname = "c"') == "service[2].port in F: is missing"


def test_an_option_shared_by_several_services_applies_where_it_fits() -> None:
    toml = b'probe-cacert = "ca"\n' + TWO + b'probe = "https://app/"'
    first, second = resolve({}, {}, file(toml)).settings.services
    assert first.probe is None
    assert second.probe is not None
    assert second.probe.cacert == "ca"


def test_an_option_of_one_table_must_fit_it() -> None:
    assert refusal({}, {}, TWO + b'probe-cacert = "ca"').startswith(
        "service[1].probe-cacert in F: is for https:// probes only"
    )


def test_two_services_under_one_key_are_both_named_with_the_way_out() -> None:
    toml = TWO.replace(b'"b"', b'"a"')
    assert refusal({}, {}, toml) == (
        "service[0] in F and service[1] in F are both a at auto and would share one key:"
        " give --key-by ip-port"
    )
    services = resolve({"key-by": ("ip-port",)}, {}, file(toml)).settings.services
    assert [service.key_by for service in services] == [KeyBy.IP_PORT] * 2


def test_one_endpoint_twice_is_refused_whatever_the_key_is() -> None:
    toml = TWO.replace(b'"b"', b'"a"').replace(b"= 2", b"= 1")
    assert refusal({"key-by": ("id",)}, {}, toml) == (
        "service[0] in F and service[1] in F are both a at auto, port 1: leave one of them out"
    )


@pytest.mark.parametrize("more", [b'ip = "10.0.0.2"', b'prefix = "/other"'])
def test_services_of_one_name_may_differ_in_address_or_prefix(more: bytes) -> None:
    toml = TWO.replace(b'"b"', b'"a"') + more
    assert len(resolve({}, {}, file(toml)).settings.services) == 2


def test_origins_list_what_is_set_with_secrets_left_out() -> None:
    flags = HTTP | {"header": ("Authorization: Bearer geheim",)}
    origins = resolve(flags, {}, None).origins
    assert Origin("web", "header", "Authorization: …", "--header") in origins
    assert Origin(None, "etcd", "http://127.0.0.1:2379", "default") in origins
    assert not any(origin.option in ("tag", "etcd-user", "config") for origin in origins)


def test_a_reader_of_the_directory_needs_no_service() -> None:
    toml = b'prefix = "/p"\netcd = "https://a"\netcd-cacert = "ca"\n' + TWO
    etcd, prefix = resolve_directory({}, {}, file(toml))
    assert (etcd.secure, etcd.cacert, prefix) == (True, "ca", "/p")


def test_the_status_address_is_found_without_a_service() -> None:
    assert resolve_status({}, {"SECRETARY_STATUS": "off"}, None) is None
    assert resolve_status({}, {}, file(b'status = "[::1]:1"')) == HostPort("::1", 1)


def test_the_file_is_named_by_a_flag_or_a_variable() -> None:
    environ = {"SECRETARY_CONFIG": "/b"}
    assert resolve_config({"config": ("/a",)}, environ) == "/a"
    assert resolve_config({}, environ) == "/b"
    assert resolve_config({}, {}) is None


@given(
    st.dictionaries(
        st.sampled_from([option.variable for option in OPTIONS]),
        st.text(st.characters(exclude_categories=[])),
    )
)
@pytest.mark.filterwarnings("ignore:Possible (nested set|set .*) at:FutureWarning")
def test_no_environment_raises_anything_but_a_settings_error(environ: dict[str, str]) -> None:
    said = "SECRETARY_"
    try:
        resolve(WEB, environ, None)
    except SettingsError as error:
        said = str(error)
    assert said.startswith("SECRETARY_")
    assert said.isprintable()
