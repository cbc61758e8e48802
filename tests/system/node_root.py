"""What a node's disk holds before its first boot: Debian with systemd, and a secretary in /opt.

Three layers: Debian's packages and the locked dependencies, both from the cache, and for this run
the wheel of this checkout and its units. A node writes to a fourth, its own.
"""

import contextlib
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.system.debian import CA_BUNDLE, debian, made_once

CHECKOUT: Final = Path(__file__).parents[2]
UNITS: Final = CHECKOUT / "deploy/units"
PACKAGES: Final = (
    *("ca-certificates", "corosync", "crmsh", "curl", "dbus", "docker.io", "haproxy", "iproute2"),
    *("iptables", "nginx-light", "pacemaker", "pacemaker-cli-utils", "procps", "python3"),
    *("python3-venv", "resource-agents", "systemd", "systemd-sysv"),
)
_LOCK: Final = CHECKOUT / "requirements/runtime.txt"
_DEPENDENCIES: Final = """\
set -e
python3 -m venv /opt/secretary
/opt/secretary/bin/pip install --quiet --require-hashes --requirement /run/in/runtime.txt
"""
_OURS: Final = """\
set -e
/opt/secretary/bin/pip install --quiet --no-index "$(echo /run/in/secretary-*.whl)[render,docker]"
cp /run/units/*.service /etc/systemd/system/
export SYSTEMD_OFFLINE=1
# What a test wants of these it starts itself.
systemctl --quiet disable containerd corosync docker.service docker.socket haproxy nginx pacemaker
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer console-getty dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap fstrim.timer getty.target systemd-pstore
systemctl --quiet enable systemd-networkd
# Nobody answers for names here, which is known at once this way.
: >/etc/resolv.conf
"""
"""`pip` has no index here: all that the wheel depends on must be there, as locked."""
_TIMEOUT_S: Final = 600


@dataclass(frozen=True, slots=True)
class NodeRoot:
    """The layers of a node's disk, the topmost first."""

    layers: tuple[Path, ...]


@contextlib.contextmanager
def node_root() -> Iterator[NodeRoot]:
    """What is made of this checkout is gone at the end."""
    below = debian(PACKAGES)
    key = hashlib.sha256(f"{below} {_DEPENDENCIES} {_LOCK.read_text()}".encode()).hexdigest()[:12]

    def install_dependencies(made: Path) -> None:
        with overlay(made, [below]) as root:
            _in(root, _DEPENDENCIES, {"/run/in": _LOCK.parent})

    dependencies = made_once(f"secretary-{key}", install_dependencies) / "upper"
    with tempfile.TemporaryDirectory(prefix="secretary-node-root-") as directory:
        wheels, ours = Path(directory, "wheels"), Path(directory, "ours")
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
        _run(*pip, "--wheel-dir", str(wheels), str(CHECKOUT))
        ours.mkdir()
        with overlay(ours, [dependencies, below]) as root:
            _in(root, _OURS, {"/run/in": wheels, "/run/units": UNITS})
        yield NodeRoot((ours / "upper", dependencies, below))


@contextlib.contextmanager
def overlay(directory: Path, layers: Sequence[Path]) -> Iterator[Path]:
    """Yield where `layers` are mounted, the topmost first, under what `directory` keeps."""
    upper, work, root = (directory / part for part in ("upper", "work", "root"))
    for part in (upper, work, root):
        part.mkdir(exist_ok=True)
    below = ":".join(map(str, layers))
    options = f"lowerdir={below},upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "overlay", "-o", options, str(root))
    try:
        yield root
    finally:
        _run("umount", "--lazy", str(root))  # what has just been killed may hold it for a moment


def _in(root: Path, script: str, given: dict[str, Path]) -> None:
    """Run a shell script in a tree that is not booted, with this host's network."""
    # fmt: off
    command = [
        "systemd-nspawn", "--quiet", "--keep-unit", "--register=no", f"--directory={root}",
        "--as-pid2", "--console=pipe", "--link-journal=no", "--timezone=off",
        "--resolv-conf=replace-host",
    ]
    # fmt: on
    if CA_BUNDLE.exists():  # behind a private CA it trusts what this machine trusts
        command += [f"--bind-ro={CA_BUNDLE}:/run/ca.crt", "--setenv=PIP_CERT=/run/ca.crt"]
    command += [f"--bind-ro={source}:{where}" for where, source in given.items()]
    _run(*command, "/bin/sh", "-c", script)


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
