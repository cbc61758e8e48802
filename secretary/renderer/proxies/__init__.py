"""The ways in which a proxy is told to take up what is written: the renderer's wings."""

from collections.abc import Callable, Sequence

from secretary.core.errors import PublishError
from secretary.core.settings import (
    CommandReload,
    DockerReload,
    GroupSettings,
    SignalReload,
    SystemdReload,
)
from secretary.renderer.ports import Reload, Runtime
from secretary.renderer.proxies import reloads
from secretary.renderer.proxies.command import Commands
from secretary.renderer.proxies.handover import HandedOver
from secretary.renderer.proxies.runtime import HaproxyRuntime


class Proxies:
    """Makes what a group needs of its proxy; `stop` ends all that still runs or waits."""

    def __init__(self) -> None:
        self._commands = Commands()

    def stop(self) -> None:
        self._commands.stop()

    def check(self, arguments: Sequence[str], timeout_s: float) -> str | None:
        """Run a check command; see `ports.Check`."""
        ran = self._commands.run(arguments, timeout_s)
        if ran.status is None or ran.status < 0:
            raise PublishError(f"the check could not be made: {ran.said}")
        return None if ran.status == 0 else ran.output or ran.said

    def reload(self, group: GroupSettings) -> Reload | None:
        """Return how a group's proxy is reloaded; None when it is not."""
        match group.reload:
            case None:
                return None
            case CommandReload(arguments):
                reload: Reload = reloads.CommandReload(
                    arguments, group.reload_timeout_s, self._commands
                )
                main_pid = _pid_of(group.pidfile)
            case SignalReload(name, pidfile):
                reload = reloads.SignalReload(name, pidfile)
                main_pid = _pid_of(group.pidfile or pidfile)
            case DockerReload(container, name):
                reload = reloads.DockerReload(container, name)
                main_pid = _pid_of(group.pidfile)
            case SystemdReload(unit):
                systemctl = ("systemctl", "reload", unit)
                reload = reloads.CommandReload(systemctl, group.reload_timeout_s, self._commands)
                main_pid = _pid_of(group.pidfile) if group.pidfile else self._pid_of_unit(unit)
        return HandedOver(reload, main_pid, group.settle_s, stop=self._commands.stopping)

    def runtime(self, group: GroupSettings) -> Runtime | None:
        """Return the running proxy whose servers can be changed; None without a socket."""
        return HaproxyRuntime(group.runtime) if group.runtime is not None else None

    def _pid_of_unit(self, unit: str) -> Callable[[], int | None]:
        def main_pid() -> int | None:
            ran = self._commands.run(("systemctl", "show", "-p", "MainPID", "--value", unit), 5.0)
            pid = ran.output.strip()
            return int(pid) if ran.status == 0 and pid.isdecimal() and pid != "0" else None

        return main_pid


def _pid_of(pidfile: str | None) -> Callable[[], int | None]:
    return lambda: reloads.pid_in(pidfile) if pidfile is not None else None
