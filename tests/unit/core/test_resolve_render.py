"""One template from the command line, or any number from the file; what is wrong is one line."""

from typing import Any

import pytest

from secretary.core import settings_file
from secretary.core.errors import SettingsError
from secretary.core.resolve_render import resolve_render
from secretary.core.settings import (
    Builtin,
    CommandReload,
    DockerReload,
    HostPort,
    Owner,
    RenderSettings,
    SignalReload,
    SystemdReload,
)

ONE = {"builtin": ("nginx",), "dest": ("/etc/nginx/conf.d/s.conf",)}


def resolved(
    flags: dict[str, Any] | None = None, file: str | None = None, **environ: str
) -> RenderSettings:
    parsed = None if file is None else settings_file.parse("r.toml", file.encode())
    return resolve_render(flags or {}, environ, parsed)


def refusal(flags: dict[str, Any] | None = None, file: str | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        resolved(flags, file, **environ)
    return str(caught.value)


def test_one_template_from_the_command_line() -> None:
    settings = resolved(
        {
            **ONE,
            "reload": ("signal:hup@/run/nginx.pid",),
            "check-cmd": ("nginx -t -c {wrapped}",),
            "var": ("default=web", "listen=:80, :81"),
            "only": ("web",),
            "mode": ("0640",),
            "owner": ("www-data:adm",),
        }
    )
    (group,) = settings.groups
    (template,) = group.templates
    assert group.reload == SignalReload("HUP", "/run/nginx.pid")
    assert template.builtin is Builtin.NGINX
    assert template.check_cmd == ("nginx", "-t", "-c", "{wrapped}")
    assert template.vars == {"default": "web", "listen": ":80, :81"}
    assert (template.services, template.mode) == (("web",), 0o640)
    assert template.owner == Owner("www-data", "adm")


def test_what_nobody_said_has_its_default() -> None:
    settings = resolved(ONE)
    assert settings.status == HostPort("127.0.0.1", 9181)
    assert (settings.pace.min_wait_s, settings.pace.max_wait_s) == (0.2, 2)
    assert (settings.pace.reload_gap_s, settings.resync_s) == (1, 60)
    assert (settings.guard.max_loss, settings.guard.hold_s) == (0.5, 60)
    assert settings.groups[0].reload is None
    assert settings.groups[0].templates[0].check_cmd is None


def test_the_environment_names_options_too() -> None:
    settings = resolved(SECRETARY_BUILTIN="haproxy", SECRETARY_DEST="/h", SECRETARY_MIN_WAIT="1s")
    assert settings.groups[0].templates[0].dest == "/h"
    assert settings.pace.min_wait_s == 1


FILE = """
prefix = "/apps"
min_wait = "50ms"
max_loss = "20%"

[min_instances]
web = 2

[[template]]
builtin = "haproxy"
dest = "/etc/haproxy/haproxy.cfg"
check_cmd = "haproxy -c -f {staged}"
reload = "systemd:haproxy"
runtime = "/run/haproxy/admin.sock"
[template.var]
default = "web"

[[group]]
reload = "docker:proxy-1:HUP"
settle = "1s"
[[group.template]]
template = "a.j2"
dest = "/a"
[[group.template]]
template = "b.j2"
dest = "/b"
check-cmd = "off"
"""


def test_templates_and_groups_from_the_file() -> None:
    settings = resolved(file=FILE)
    alone, both = settings.groups
    assert settings.prefix == "/apps"
    assert settings.pace.min_wait_s == 0.05
    assert (settings.guard.max_loss, settings.guard.min_instances) == (0.2, {"web": 2})
    assert alone.reload == SystemdReload("haproxy")
    assert alone.runtime == "/run/haproxy/admin.sock"
    # The built-in configuration opens the socket that is to be used.
    assert alone.templates[0].vars == {"default": "web", "runtime": "/run/haproxy/admin.sock"}
    assert both.reload == DockerReload("proxy-1", "HUP")
    assert both.settle_s == 1
    assert [t.dest for t in both.templates] == ["/a", "/b"]
    assert [t.check_cmd for t in both.templates] == [None, ()]


def test_a_reload_is_a_command_when_it_is_nothing_else() -> None:
    settings = resolved({**ONE, "reload": ("systemctl reload 'my nginx'",)})
    assert settings.groups[0].reload == CommandReload(("systemctl", "reload", "my nginx"))


def table(lines: str) -> str:
    return f"[[template]]\nbuiltin = 'nginx'\ndest = '/a'\n{lines}"


@pytest.mark.parametrize(
    ("flags", "file", "message"),
    [
        ({}, None, "--builtin is missing: nginx or haproxy, or a template; give it, or"),
        ({"builtin": ("nginx",)}, None, "--dest is missing: the file to keep right; give it"),
        ({"builtin": ("apache",)}, None, "--builtin: got 'apache', allowed: nginx or haproxy"),
        ({**ONE, "reload": ("signal:HUP",)}, None, "(signal: wants NAME@PIDFILE)"),
        ({**ONE, "reload": ("signal:HIP@/run/p",)}, None, "(the signal is none of HUP, USR1,"),
        ({**ONE, "reload": ("docker:HUP",)}, None, "(docker: wants CONTAINER:SIGNAL)"),
        ({**ONE, "reload": ("systemd:",)}, None, "(systemd: wants the name of a unit)"),
        ({**ONE, "reload": ("a 'b",)}, None, "(a quotation is not closed)"),
        ({**ONE, "check-cmd": ("nginx -t",)}, None, "(it does not say where {staged} goes)"),
        ({**ONE, "mode": ("0999",)}, None, "--mode: got '0999'"),
        ({**ONE, "max-loss": ("150%",)}, None, "--max-loss: got '150%'"),
        ({**ONE, "min-instances": ("web",)}, None, "--min-instances: got 'web'"),
        (ONE, table(""), "--builtin: speaks of a template, and those are in r.toml"),
        ({}, "builtin = 'nginx'", "builtin in r.toml: belongs into a [[template]]"),
        ({}, table("etcd = 'x'"), "template[0].etcd in r.toml: belongs at the top of the file"),
        ({}, table("check_cmd = 1"), "template[0].check_cmd in r.toml: got an integer"),
        ({}, table("") + table(""), "dest /a: another template would be written there too"),
        ({}, table("") + table("").replace("/a", "/./a"), "dest /./a: another template would"),
        ({}, "state = '/a'\n" + table(""), "dest /a: the state would be written there too"),
        ({"template": ("x/t",), "dest": ("./x/t",)}, None, "dest ./x/t: is a template itself"),
        ({}, "[[group]]\nreload = 'x'", "group[0] in r.toml: has no [[group.template]]"),
        (
            {},
            "[[group]]\n[[group.template]]\nreload = 'x'",
            "group[0].template[0].reload in r.toml: belongs into the [[group]]",
        ),
        ({}, "[[template]]\ndest = '/a'", "builtin is missing in template[0] in r.toml"),
        ({}, table("check_cmd='a {staged}'\ncheck-cmd='b {staged}'"), "is given twice"),
        ({}, "template = 'x'", "template in r.toml: write each template as a table [[template]]"),
        ({}, table("runtime = '/s'"), "runtime in r.toml: needs a reload as well"),
    ],
)
def test_what_is_wrong_is_one_line(flags: dict[str, Any], file: str | None, message: str) -> None:
    assert message in refusal(flags, file)
