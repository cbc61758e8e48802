"""`secretary dev`: the whole on one machine, to look at or to be led through.

A real etcd in a temporary directory, three apps, a secretary each. On a terminal a live table;
with --tour, or without a terminal, five steps, each of them seen in etcd or the exit status is 1.
"""

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import is_not
from pathlib import Path
from typing import Final

import click

from secretary.agent import inquiry
from secretary.cli.stage import PREFIX, SERVICE, TTL_S, Stage, kill
from secretary.cli.table import as_screen, as_table
from secretary.core.settings import EtcdSettings, HostPort
from secretary.core.snapshot import Snapshot
from secretary.devetcd import DevEtcd

PATIENCE_S: Final = 30.0
"""How long a step may take before the tour counts it as not seen."""


@click.command()
@click.option("--tour", is_flag=True, help="Walk through what can happen, step by step.")
def dev(tour: bool) -> int:
    """Try it all here: a real etcd, three sample apps, a secretary each, and a live table."""
    # Like Ctrl-C, so that what was started is ended.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="secretary-dev-") as directory, DevEtcd() as etcd:
        click.echo(f"etcd at {etcd.urls[0]}; three apps on 127.0.1.1-3, a secretary beside each")
        settings = EtcdSettings(endpoints=(_host_port(etcd.urls[0]),))
        with _audience(settings) as audience, Stage(etcd.urls[0], Path(directory)) as stage:
            if tour or not sys.stdout.isatty():
                return _tour(stage, audience)
            return _watch(stage, audience)


class Audience:
    """Follows etcd in a thread of its own, and waits for what it wants to see there."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._changed = threading.Condition()

    def see(self, snapshot: Snapshot) -> None:
        with self._changed:
            self.snapshot = snapshot
            self._changed.notify_all()

    def wait(self, condition: Callable[[Snapshot], bool], timeout_s: float) -> bool:
        """Wait until etcd is as `condition` wants it; say whether it came to that."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.snapshot), timeout_s)


@contextmanager
def _audience(settings: EtcdSettings) -> Iterator[Audience]:
    audience = Audience()
    with inquiry.directory(settings, PREFIX) as directory:

        def follow() -> None:
            for snapshot in directory.follow():
                audience.see(snapshot)

        thread = threading.Thread(target=follow, name="audience", daemon=True)
        thread.start()
        yield audience
    thread.join()


def _watch(stage: Stage, audience: Audience) -> int:
    """Show the table until Ctrl-C."""
    shown: Snapshot | None = None
    while True:
        if audience.snapshot is not shown:
            shown = audience.snapshot
            click.echo(as_screen(shown, SERVICE, datetime.now(UTC)))
            click.echo("\nKill what you like and watch; Ctrl-C ends it.\n")
            for actor in stage.actors:
                app, secretary = actor.app.pid, actor.secretary.pid
                click.echo(f"   {actor.ip}   app {app:<8} secretary {secretary}")
        audience.wait(partial(is_not, shown), 1.0)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, and what is then to be seen in etcd."""

    title: str
    act: Callable[[], object]
    seen: Callable[[Snapshot], bool]
    words: str


def _tour(stage: Stage, audience: Audience) -> int:
    for number, step in enumerate(_steps(stage), start=1):
        began_s = time.monotonic()
        step.act()
        if not audience.wait(step.seen, PATIENCE_S):
            click.echo(f"{number}. {step.title:<15} NOT SEEN in {PATIENCE_S:.0f} s: {step.words}")
            click.echo(stage.log.read_text(errors="replace"), err=True)
            return 1
        took_s = time.monotonic() - began_s
        click.echo(f"{number}. {step.title:<15} {took_s:6.2f} s   {step.words}")
        if number == 1:
            table = as_table(audience.snapshot, SERVICE, datetime.now(UTC))
            click.echo("\n" + "\n".join(f"   {line}" for line in table.splitlines()) + "\n")
    click.echo("every step was seen in etcd")
    return 0


def _steps(stage: Stage) -> Iterator[Step]:
    first, second, third = stage.actors

    def gone(key: str) -> Callable[[Snapshot], bool]:
        return lambda snapshot: key not in snapshot.instances

    def there(key: str) -> Callable[[Snapshot], bool]:
        return lambda snapshot: key in snapshot.instances

    yield Step(
        "register",
        lambda: None,
        lambda snapshot: {actor.key for actor in stage.actors} <= snapshot.instances.keys(),
        "three apps are healthy: three records",
    )
    yield Step(
        "app crash",
        lambda: kill(second.app),
        gone(second.key),
        f"the app on {second.ip} was killed: its record is gone",
    )
    yield Step(
        "app recovery", second.start_app, there(second.key), "it runs again: its record is back"
    )
    yield Step(
        "secretary kill",
        lambda: kill(third.secretary),
        gone(third.key),
        f"the secretary of {third.ip} was killed: its lease of {TTL_S} s took the record away",
    )
    yield Step(
        "graceful stop",
        first.secretary.terminate,
        lambda snapshot: gone(first.key)(snapshot) and first.secretary.wait(PATIENCE_S) == 0,
        f"the secretary of {first.ip} was told to stop: it left first, and exited with 0",
    )


def _host_port(url: str) -> HostPort:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return HostPort(host, int(port))
