"""Reloads as a group of templates makes them of its settings, for the tests of reloads."""

import os
from pathlib import Path

import pytest

from secretary.core.errors import ReloadFailed
from secretary.core.settings import GroupSettings, Reload, TemplateSettings
from secretary.renderer.proxies import Proxies
from tests.system.nginx_bed import IP


def reload(how: Reload, pidfile: Path | None = None, **more: float) -> None:
    """Reload as a group with these settings would."""
    group = GroupSettings(
        templates=(TemplateSettings(dest="/a", template="/t"),),
        reload=how,
        pidfile=str(pidfile) if pidfile else None,
        **more,  # type: ignore[arg-type]
    )
    made = Proxies().reload(group)
    assert made is not None
    made()


def refusal(how: Reload, pidfile: Path | None = None, **more: float) -> str:
    with pytest.raises(ReloadFailed) as caught:
        reload(how, pidfile, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def front(port: int) -> str:
    """A configuration of haproxy, after its global section."""
    config = "defaults\n    mode http\n    timeout client 5s\n    timeout connect 1s\n"
    return f"{config}    timeout server 5s\nfrontend in\n    bind {IP}:{port}\n"


def stub_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
