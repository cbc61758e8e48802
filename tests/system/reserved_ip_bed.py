"""The resource agent of DigitalOcean's reserved address on two droplets, which share an account.

The agent runs on this host, with the library of Debian's resource-agents and the real program.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.clouds.digitalocean import DigitalOceanApi
from tests.clouds.digitalocean_metadata import DigitalOceanMetadata, digitalocean_metadata
from tests.system.debian import debian
from tests.system.node_root import CHECKOUT, PACKAGES

ADDRESS: Final = "203.0.113.7"
SUCCESS, GENERIC, ARGS, PERM, INSTALLED, CONFIGURED, NOT_RUNNING = 0, 1, 2, 4, 5, 6, 7
"""OCF's exit codes."""

_XMLLINT: Final = """\
#!/bin/sh
# What ocf-tester asks of xmllint, by the same library: is what stands on stdin valid by its DTD?
exec chroot {tree} /bin/sh -c 'cd /usr/share/resource-agents && exec python3 -c "
import sys
from lxml import etree
etree.fromstring(sys.stdin.buffer.read(), etree.XMLParser(dtd_validation=True, load_dtd=True))
"'
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """Debian's agents with ours among them, where any user may read them."""

    root: Path

    @property
    def agent(self) -> Path:
        return self.root / "ocf/resource.d/secretary/reserved-ip"


@contextlib.contextmanager
def installed() -> Iterator[Installed]:
    tree = debian(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="secretary-ocf-") as directory:
        made = Installed(Path(directory))
        made.root.chmod(0o755)
        shutil.copytree(tree / "usr/lib/ocf/lib", made.root / "ocf/lib")
        made.agent.parent.mkdir(parents=True)
        shutil.copy(CHECKOUT / "deploy/pacemaker/ocf/reserved-ip", made.agent)
        (made.root / "share/resource-agents").mkdir(parents=True)
        tester = (tree / "usr/sbin/ocf-tester").read_text()
        here = tester.replace("DATADIR=/usr/share\n", f"DATADIR={made.root}/share\n")
        assert here != tester
        _program(made.root / "bin/ocf-tester", here)
        _program(made.root / "bin/xmllint", _XMLLINT.format(tree=tree))
        yield made


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@dataclass(slots=True)
class Droplet:
    """One droplet with the agent. `params` are what the agent is given at each action."""

    id: int
    metadata: DigitalOceanMetadata
    params: dict[str, str]
    state: Path
    _installed: Installed
    _api: DigitalOceanApi
    said: str = field(default="", init=False)
    """All that the last action has written."""

    def __call__(self, action: str, timeout_s: int = 20, **more: str) -> tuple[int, str]:
        """Do an action as Pacemaker does; return its exit code and the reason that it gives.

        `timeout_s` is what Pacemaker gives it, and `more` are parameters.
        """
        environ = self._environ(timeout_s, more)
        done = self._run([str(self._installed.agent), action], environ)
        reason = re.findall(r"^ocf-exit-reason:(.*)$", done.stderr, re.MULTILINE)
        assert len(reason) <= 1, done.stderr
        return done.returncode, reason[0] if reason else ""

    def ocf_tester(self) -> str:
        """Let Debian's tester try the agent; return what it says."""
        command = [str(self._installed.root / "bin/ocf-tester"), "-n", "address"]
        for name, value in self.params.items():
            command += ["-o", f"{name}={value}"]
        done = self._run([*command, str(self._installed.agent)], self._environ(20, {}))
        return done.stdout + done.stderr

    def _run(self, command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        self.said = done.stdout + done.stderr
        return done

    def _environ(self, timeout_s: int, more: dict[str, str]) -> dict[str, str]:
        path = f"{self._installed.root}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
        return {
            "PATH": path,
            "OCF_ROOT": f"{self._installed.root}/ocf",
            "OCF_RESOURCE_INSTANCE": "address",
            "OCF_RESOURCE_PROVIDER": "secretary",
            "OCF_RESOURCE_TYPE": "reserved-ip",
            "OCF_RESKEY_CRM_meta_timeout": str(timeout_s * 1000),
            "HA_RSCTMP": str(self.state),
            "DIGITALOCEAN_API_URL": self._api.url,
            **{f"OCF_RESKEY_{name}": value for name, value in (self.params | more).items()},
        }


@contextlib.contextmanager
def droplet(api: DigitalOceanApi, installed: Installed, name: str, own: Path) -> Iterator[Droplet]:
    """Have a droplet in the account, with the agent's files in `own`."""
    id_ = api.account.made(name).id
    token = own / f"{name}.token"
    token.write_text(next(iter(api.account.tokens)))
    token.chmod(0o600)
    with digitalocean_metadata(api.account, {"127.0.0.1": id_}) as metadata:
        params = {
            "ip": ADDRESS,
            "token_file": str(token),
            "metadata": metadata.url,
            "secretary": str(Path(sys.executable).with_name("secretary")),
        }
        yield Droplet(id_, metadata, params, own / name, installed, api)
