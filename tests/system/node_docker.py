"""Docker on a node: images made of the node's own files, and what becomes of their containers.

No image is ever pulled. Both images are one tree of Debian's directories with Python and nginx.
"""

import json
import time
from dataclasses import dataclass
from typing import Any, Final

from tests.system.node import Node
from tests.system.node_root import CHECKOUT

APP_IMAGE: Final = "shop/app:1"
PROXY_IMAGE: Final = "shop/nginx:1"
APP_PORT: Final = 8000
"""Where the app listens in its container."""
_IMPORT: Final = """\
set -e
cd /
tar --create bin lib lib64 sbin usr/lib64 usr/bin/dash usr/bin/sh usr/lib/x86_64-linux-gnu \
    etc/passwd etc/group etc/ld.so.cache usr/bin/python3* usr/lib/python3* opt/sample_app.py \
    etc/nginx usr/sbin/nginx usr/lib/nginx usr/share/nginx var/lib/nginx var/log/nginx \
    --no-recursion run tmp |
docker import --change 'CMD exec python3 /opt/sample_app.py 0.0.0.0 {port} "$NAME" 0.02 /dev/null' \
    - {app}
docker tag {app} {proxy}
"""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that Docker tells of a container; `at_s` is by the monotonic clock."""

    at_s: float
    action: str
    signal: str


def settle_docker(node: Node) -> None:
    """Start Docker on a node, and give it both images."""
    node.write("/opt/sample_app.py", (CHECKOUT / "tests/sample_app.py").read_text())
    node.systemctl("enable", "--now", "docker")
    script = _IMPORT.format(port=APP_PORT, app=APP_IMAGE, proxy=PROXY_IMAGE)
    node("sh", "-c", script)


def containers(node: Node, *options: str) -> list[str]:
    """Return the names of all containers, of those that have ended too."""
    listed = node("docker", "ps", "--all", "--format", "{{.Names}}", *options)
    return listed.stdout.split()


def inspect(node: Node, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(node("docker", "inspect", name).stdout)
    return found[0]


def happened(node: Node, name: str, since_s: float) -> list[Happened]:
    """Return what has become of the container since that moment of the monotonic clock."""
    wall_s = time.time() - time.monotonic()
    # fmt: off
    told = node(
        "docker", "events", "--since", f"{since_s + wall_s:.6f}", "--until", f"{time.time():.6f}",
        "--filter", f"container={name}", "--format", "{{json .}}",
    ).stdout
    # fmt: on
    events = [json.loads(line) for line in told.splitlines()]
    return [
        Happened(
            event["timeNano"] / 1e9 - wall_s,
            event["Action"],
            event["Actor"]["Attributes"].get("signal", ""),
        )
        for event in events
    ]
