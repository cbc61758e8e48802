"""What an agent loads: no more than it is asked to do."""

import subprocess
import sys


def test_an_agent_without_containers_loads_no_docker() -> None:
    """Its library takes twenty megabytes, which a plain sidecar has no use for."""
    code = "import sys, secretary.agent.app; print('docker' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
