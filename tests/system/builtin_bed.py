"""A real proxy that works by a built-in template.

with BuiltinBed(Builtin.NGINX, tmp_path) as proxy:
proxy.serve(record(app), vars)
proxy.ask("web")
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from secretary.core.instance import Instance
from secretary.core.settings import Builtin
from tests.apps import free_port
from tests.rendered import render
from tests.system.echo_app import IP, Answer, Client, EchoApp
from tests.system.haproxy_bed import HaproxyBed
from tests.system.nginx_bed import NginxBed
from tests.unit.renderer.records import instance


def record(app: EchoApp, name: str = "web", **more: Any) -> Instance:
    return instance(name, app.ip, app.port, **more)


class BuiltinBed:
    """A proxy on `port` of the loopback, from the first `serve` on, until left.

    Its own checks are so far apart that a test sees what the proxy does without them.
    """

    def __init__(self, builtin: Builtin, directory: Path) -> None:
        self.builtin = builtin
        self.port = free_port()
        self._directory = directory
        self._beds = contextlib.ExitStack()
        self.bed: HaproxyBed | NginxBed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._beds.__exit__(*failure)

    def serve(
        self,
        *records: Instance,
        vars: Mapping[str, str] | None = None,
        known: tuple[str, ...] = (),
    ) -> None:
        """Work by these from now on."""
        given = {"listen": f"{IP}:{self.port}", **(vars or {})}
        if self.builtin is Builtin.HAPROXY:
            given.setdefault("check-interval", "60s")
        text = render(self.builtin, *records, vars=given, known=known)
        if isinstance(self.bed, HaproxyBed):
            self.bed.config.write_text(text)
            self.bed.reload()
        elif isinstance(self.bed, NginxBed):
            (self.bed.fragments / "sites.conf").write_text(text)
            self.bed.reload()
        elif self.builtin is Builtin.HAPROXY:
            self.bed = self._beds.enter_context(HaproxyBed(self._directory, text))
        else:
            self.bed = self._beds.enter_context(NginxBed(self._directory, sites=text))

    def ask(self, host: str, method: str = "GET", **more: Any) -> Answer:
        """Ask once, on a connection of its own."""
        with self.client() as client:
            return client.ask(host, method, **more)

    def client(self) -> Client:
        return Client(self.port)
