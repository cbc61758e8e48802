"""The ways to ask an app how it is. Each is a `Probe` (see `agent/ports.py`)."""

from secretary.agent.ports import Probe
from secretary.core.settings import ProbeSettings


def build(settings: ProbeSettings) -> Probe:
    """Return the probe that `settings.target` asks for.

    SettingsError when a certificate cannot be read. Imports only what this kind of probe needs.
    """
    scheme, _, rest = settings.target.partition(":")
    if scheme == "exec":
        from secretary.agent.probes.command import CommandProbe

        return CommandProbe(rest, settings.timeout_s)
    if scheme == "tcp":
        from secretary.agent.probes.tcp import TcpProbe

        return TcpProbe(settings.target, settings.timeout_s)
    from secretary.agent.probes.http import HttpProbe

    return HttpProbe(settings)
