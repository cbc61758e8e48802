"""`tcp://host:port` passes when a connection is made. Nothing is sent."""

from urllib.parse import urlsplit

from secretary.agent.ports import Outcome, ProbeResult
from secretary.agent.probes.connection import connect, failed, result
from secretary.agent.probes.deadline import Deadline
from secretary.agent.probes.resolver import Resolver


class TcpProbe:
    def __init__(self, target: str, timeout_s: float) -> None:
        parts = urlsplit(target)
        self._resolver = Resolver(parts.hostname or "", parts.port or 0)
        self._timeout_s = timeout_s

    def run(self) -> ProbeResult:
        deadline = Deadline(self._timeout_s)
        try:
            connect(self._resolver, deadline).close()
        except OSError as error:
            return failed(error, deadline)
        return result(Outcome.PASS, "connected", deadline)
