"""`secretary ha standby` and `online`: one balancer leaves for a while, and comes back.

The address is sent away first, while HAProxy goes on, and only when the other balancer has it is
the cluster told to stop HAProxy here. Standby alone would stop it as soon as the address has left,
and a cloud takes its time until it sends requests to the other.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NoReturn

import click

from secretary.cli.ha.cluster import Cluster
from secretary.cli.ha.maintenance import (
    not_to_be_spared,
    still_running,
    still_serving,
    wants,
)
from secretary.cli.ha.pair import Balancer, Pair, Standing
from secretary.cli.ha.time import takes_time
from secretary.cli.surroundings import Surroundings
from secretary.core.errors import ClusterError, SettingsError
from secretary.core.values import printable

LOOK_S: Final = 0.25
LAST_S: Final = 60.0
"""How long after the timeout an address stays sent away, should nobody be left to let it return."""
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NEXT: Final = "secretary ha status shows it"

_node = click.argument("node", required=False)
_timeout = takes_time("--timeout", "1s", "1h", default="60s", help="How long to wait for it.")


@click.command()
@_node
@click.option("--force", is_flag=True, help="Also where no other can take its place.")
@_timeout
@click.pass_obj
def standby(around: Surroundings, /, node: str | None, force: bool, timeout: float) -> None:
    """Take a balancer out for maintenance: NODE, or this host.

    The address moves to the other balancer, then HAProxy stops. It stays out, also after a reboot,
    until `secretary ha online`.
    """
    wait = _Wait(Cluster(around.environ), timeout)
    leaving = wait.balancer(node)
    why = not_to_be_spared(wait.pair, leaving)
    if leaving.standing is Standing.STANDBY:
        why = None  # it is out already, or about to be
    if why is not None and not force:
        raise ClusterError(f"{leaving.name} is needed: {why}; --force takes it out anyway")
    with _ended_in_order(), contextlib.ExitStack() as afterwards:
        if why is None and leaving.addresses:
            for address in leaving.addresses:
                afterwards.callback(wait.cluster.let_return, address, leaving.name)
                wait.cluster.send_away(address, leaving.name, wait.timeout_s + LAST_S)
            wait.until(still_serving, leaving.name, "is not in standby:")
        wait.cluster.stand_by(leaving.name)
        click.echo(f"{leaving.name}: standby{f', although {why}' if why else ''}")
        wait.until(still_running, leaving.name, "is in standby, but")


@click.command()
@_node
@_timeout
@click.pass_obj
def online(around: Surroundings, /, node: str | None, timeout: float) -> None:
    """Put a balancer back that `secretary ha standby` has taken out: NODE, or this host.

    It is back when HAProxy runs there by a configuration that is not behind the directory. The
    address stays where it is.
    """
    wait = _Wait(Cluster(around.environ), timeout)
    back = wait.balancer(node)
    wait.cluster.come_back(back.name)
    for ban in wait.pair.bans:  # of a standby that was cut short
        if ban.node == back.name:
            wait.cluster.let_return(ban.resource, ban.node)
    click.echo(f"{back.name}: no longer standby")
    if back.standing in (Standing.OFFLINE, Standing.UNCLEAN):
        click.echo(f"{back.name}: is {back.standing.value}; it serves again once it has booted")
        return
    wait.until(wants, back.name, "may serve again, but")


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this as SIGINT does: an ssh may go by the address that moves."""

    def end(*_: object) -> NoReturn:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)  # what is to be undone is undone
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Wait:
    """Looks at the cluster until it is as it should be, and says each step on the way."""

    def __init__(self, cluster: Cluster, timeout_s: float) -> None:
        self.cluster = cluster
        self.pair = cluster.pair()
        self.timeout_s = timeout_s
        self._until_s = time.monotonic() + timeout_s
        self._said: Mapping[str, str] = {}

    def balancer(self, name: str | None) -> Balancer:
        """Return the balancer of that name, or this host. SettingsError when there is none."""
        wanted = self.cluster.here() if name is None else name
        if (found := self.pair.named(wanted)) is None:
            there = ", ".join(each.name for each in self.pair.balancers)
            raise SettingsError(f"NODE: got '{printable(wanted)}', allowed: {there}")
        self._said = _steps(self.pair, found)
        return found

    def until(self, lacks: Callable[[Pair, Balancer], str | None], name: str, so_far: str) -> None:
        """Return when `lacks` says nothing; ClusterError when it still does in the end."""
        pause = threading.Event()
        while True:
            self.pair = self.cluster.pair()
            if (now := self.pair.named(name)) is None:
                raise ClusterError(f"{name}: is no longer a node of the cluster")
            steps = _steps(self.pair, now)
            for what, how in steps.items():
                if self._said.get(what) != how:
                    click.echo(f"{what}: {how}")
            self._said = steps
            if (lack := lacks(self.pair, now)) is None:
                return
            if time.monotonic() >= self._until_s:
                raise ClusterError(f"{name} {so_far} after {self.timeout_s:g} s {lack}; {_NEXT}")
            pause.wait(LOOK_S)


def _steps(pair: Pair, balancer: Balancer) -> dict[str, str]:
    """Return what can be told of the way: who has the addresses, and how HAProxy is."""
    steps = dict.fromkeys(pair.addresses, "nobody has it")
    for each in pair.balancers:
        steps |= dict.fromkeys(each.addresses, f"{each.name} has it")
    return {**steps, balancer.name: f"HAProxy is {balancer.haproxy.value}"}
