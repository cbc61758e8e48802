"""The door to Pacemaker: its own tools, each within a deadline, their refusals in one line.

Decides nothing: it says how all stands, sends addresses away, and sets and lifts standby.
"""

import math
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from secretary.cli.ha.crm_mon import decoded
from secretary.cli.ha.pair import Pair
from secretary.core.errors import ClusterError
from secretary.core.values import printable

DEADLINE_S: Final = 10.0
PLACES: Final = ("/usr/sbin", "/sbin")
"""Where the tools are, also for who has not root's own PATH."""
_REASONS: Final = {
    4: "Pacemaker lets in root and the group haclient alone",
    102: "no cluster runs here: systemctl start pacemaker",
    105: "there is no such node",
}
"""Of the exit statuses that all of its tools share: `crm_error --exit --list`."""
_LONGEST: Final = 300


class Cluster:
    """Raises ClusterError."""

    def __init__(self, environ: Mapping[str, str], places: Sequence[str] = PLACES) -> None:
        self._environ = dict(environ)
        self._path = os.pathsep.join((environ.get("PATH", os.defpath), *places))

    def pair(self) -> Pair:
        """Return how it stands."""
        return decoded(self._run("crm_mon", "--one-shot", "--inactive", "--output-as=xml"))

    def here(self) -> str:
        """Return the name of this host in the cluster."""
        return self._run("crm_node", "--name").strip()

    def send_away(self, resource: str, node: str, within_s: float) -> None:
        """Let a resource not be there, until `let_return`, or so long at most."""
        which = ("--resource", resource, "--node", node)
        self._run("crm_resource", "--ban", *which, "--lifetime", f"PT{math.ceil(within_s)}S")

    def let_return(self, resource: str, node: str) -> None:
        self._run("crm_resource", "--clear", "--resource", resource, "--node", node)

    def stand_by(self, node: str) -> None:
        """Let nothing run there, also after a reboot, until `come_back`."""
        self._run("crm_standby", "--node", node, "--update", "on", "--lifetime", "forever")

    def come_back(self, node: str) -> None:
        """Lift it, for however long it was meant."""
        for lifetime in ("forever", "reboot"):
            self._run("crm_standby", "--node", node, "--delete", "--lifetime", lifetime)

    def _run(self, tool: str, *arguments: str) -> str:
        program = shutil.which(tool, path=self._path)
        if program is None:
            raise ClusterError(f"{tool}: is not installed: this host is no balancer of a pair")
        try:
            done = subprocess.run(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=DEADLINE_S,
                check=False,
                env=self._environ | {"PATH": self._path, "LC_ALL": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(
                f"{tool}: no answer within {DEADLINE_S:g} s: journalctl -u pacemaker"
            ) from None
        except OSError as error:
            raise ClusterError(f"{program}: {error.strerror}") from error
        if done.returncode:
            raise ClusterError(f"{tool}: {_refusal(done)}")
        return done.stdout


def _refusal(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode in _REASONS:
        return _REASONS[done.returncode]
    said = " ".join(done.stderr.split()) or "it says nothing"
    return f"failed with status {done.returncode}: {printable(said)[:_LONGEST]}"
