"""A real nginx that tells which instances it works by, whatever is written in its files."""

import http.client
import os
import shutil
from pathlib import Path
from typing import Final

from secretary.devetcd import DevEtcd
from tests.apps import free_port
from tests.renderers import Renderer
from tests.secretaries import IP
from tests.system.nginx_bed import NginxBed
from tests.waiting import wait_for

_PATH: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
_TEMPLATE: Final = """\
include {extra};
{{% for service in services %}}
upstream {{{{ service.name }}}} {{
{{%   for instance in service %}}
    server {{{{ instance.addr }}}} weight={{{{ instance.weight }}}};
{{%   endfor %}}
}}
{{% endfor %}}
server {{
    listen {ip}:{port};
{{% for service in services %}}
    location = /{{{{ service.name }}}} {{
        return 200 "{{{{ service | map(attribute="addr") | join(" ") }}}}";
    }}
{{% endfor %}}
}}
"""
"""Not a careful one: a weight of 0 is a mistake to nginx, and the file it includes may be missing.
It answers with what the running nginx knows of a service."""


class Site:
    """A real nginx that tells which instances it works by, and a renderer's settings for it."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.extra = directory / "extra"
        self.extra.touch()
        self.bed = NginxBed(directory)
        self.dest = self.bed.fragments / "sites.conf"
        self._template = directory / "sites.conf.j2"
        self._template.write_text(_TEMPLATE.format(extra=self.extra, ip=IP, port=self.port))
        self._script = directory / "reload"
        self.way_is_clear = directory / "the-way-is-clear"

    def renderer(
        self, etcd: DevEtcd, prefix: str, *more: str, check: str = "", reload: str = ""
    ) -> Renderer:
        return Renderer.of(
            *(etcd.urls, prefix, "--template", str(self._template), "--dest", str(self.dest)),
            *("--check-cmd", check or f"{shutil.which('nginx', path=_PATH)} -t -q -c {{wrapped}}"),
            *("--reload", reload or f"signal:HUP@{self.bed.pidfile}"),
            *("--pidfile", str(self.bed.pidfile), *more),
        )

    def reload_by(self, otherwise: str) -> str:
        """A reload command that does `otherwise` unless the way is clear."""
        lines = (
            f"test -e {self.way_is_clear} || {otherwise}",
            f"exec kill -HUP $(cat {self.bed.pidfile})",
        )
        self._script.write_text("\n".join(lines))
        self.way_is_clear.touch()
        return f"sh {self._script}"

    def knows(self, *addrs: str, name: str = "web") -> None:
        """Wait until the running nginx works by these instances."""
        wait_for(
            lambda: self._asked(name) == set(addrs),
            what=f"nginx worked by {', '.join(addrs)}",
            timeout_s=20,
        )

    def _asked(self, name: str) -> set[str]:
        connection = http.client.HTTPConnection(IP, self.port, timeout=5)
        try:
            connection.request("GET", f"/{name}")
            answer = connection.getresponse()
            return set(answer.read().decode().split()) if answer.status == 200 else set()
        except OSError:
            return set()
        finally:
            connection.close()
