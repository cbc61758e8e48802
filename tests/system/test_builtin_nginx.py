"""What the built-in nginx template promises beyond test_builtins.py and test_builtin_tries.py."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from secretary.core.instance import Instance, State
from secretary.core.settings import Builtin
from tests.apps import free_port
from tests.rendered import render
from tests.system.builtin_bed import BuiltinBed, record
from tests.system.echo_app import IP, Client, EchoApp
from tests.system.nginx_bed import NginxBed
from tests.unit.renderer.records import instance


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[BuiltinBed]:
    with BuiltinBed(Builtin.NGINX, tmp_path) as proxy:
        yield proxy


def _sites(*records: Instance, **vars: str) -> str:
    return render(Builtin.NGINX, *records, vars=vars)


def test_sites_that_stand_beside_it_keep_their_hosts(tmp_path: Path, one: EchoApp) -> None:
    port = free_port()
    other = f"server {{ listen {IP}:{port}; server_name web.example.com; return 200 other; }}"
    ours = _sites(record(one), listen=f"{IP}:{port}")
    # Before ours and behind it: where a file stands in the alphabet decides nothing.
    with NginxBed(tmp_path, a=other, sites=ours, z=other.replace("example.com", "test")):
        for host, body in {"web.example.com": "other", "web.test": "other"}.items():
            with Client(port) as client:
                assert client.ask(host).body == body
        with Client(port) as client:
            assert client.ask("web.example.org").app == "one"


def test_two_fragments_on_two_addresses_know_nothing_of_each_other(
    tmp_path: Path, one: EchoApp, two: EchoApp
) -> None:
    public, private = free_port(), free_port()
    with NginxBed(
        tmp_path,
        public=_sites(record(one), listen=f"{IP}:{public}"),
        private=_sites(record(two), record(two, "admin"), listen=f"{IP}:{private}"),
    ):
        with Client(public) as client:
            assert client.ask("web").app == "one"
            assert client.ask("admin").status == 503
        with Client(private) as client:
            assert client.ask("web").app == "two"
            assert client.ask("admin").app == "two"


def test_two_fragments_on_one_address_are_refused(tmp_path: Path) -> None:
    text = _sites(listen=f"{IP}:{free_port()}")
    with pytest.raises(AssertionError, match="a duplicate default server"):
        NginxBed(tmp_path, a=text, b=text).check()


def test_long_names_need_no_directive_that_the_main_configuration_may_have(tmp_path: Path) -> None:
    text = _sites(instance("a" * 63), instance("b" * 63))
    main = "map_hash_bucket_size 64; map $uri $one { default 1; } server_names_hash_bucket_size 64;"
    assert NginxBed(tmp_path, a=main, sites=text).check() == ""


def test_the_last_instance_is_asked_however_often_it_failed(
    proxy: BuiltinBed, one: EchoApp
) -> None:
    one.dropping.set()
    draining = instance(ip="127.0.0.2", state=State.DRAINING)
    proxy.serve(record(one), draining)
    assert {proxy.ask("web").status for _ in range(10)} == {502}
    one.dropping.clear()
    assert proxy.ask("web").status == 200


def test_an_instance_that_fails_again_and_again_is_left_alone_for_a_while(
    proxy: BuiltinBed, one: EchoApp, two: EchoApp
) -> None:
    one.dropping.set()
    proxy.serve(record(one), record(two))
    assert {proxy.ask("web").status for _ in range(30)} == {200}
    assert len(one.seen) == 3


def test_the_address_of_the_statistics_tells_nothing_else(proxy: BuiltinBed, one: EchoApp) -> None:
    port = free_port()
    proxy.serve(record(one), vars={"stats": f"{IP}:{port}"})
    with Client(port) as client:
        assert client.ask("web").body.startswith("Active connections: ")
        assert client.ask("web", path="/x").status == 404


def test_the_app_is_told_when_it_was_https(proxy: BuiltinBed, one: EchoApp, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("web").private_key_and_cert_chain_pem.write_to_path(tmp_path / "web.pem")
    pem = tmp_path / "web.pem"
    context = ssl.create_default_context()
    authority.configure_trust(context)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "tls.conf").write_text(
        f"ssl_certificate {pem}; ssl_certificate_key {pem};"
    )
    secure = free_port()
    proxy.serve(record(one), vars={"listen": f"{IP}:{proxy.port}, {IP}:{secure} ssl http2"})
    with Client(secure, tls=context) as client:
        assert client.ask("web").got["x-forwarded-proto"] == "https"
    assert proxy.ask("web").got["x-forwarded-proto"] == "http"
