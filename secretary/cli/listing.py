"""`secretary ls`: the records, once or as they change."""

import sys
from typing import Any

import click

from secretary.cli import changes, table
from secretary.cli.asked import Asked, takes
from secretary.cli.surroundings import Surroundings
from secretary.core.snapshot import Snapshot
from secretary.core.values import printable


@click.command("ls")
@click.argument("name", required=False)
@click.option("--watch", is_flag=True, help="Stay, and follow the changes.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table",
    help="How to print them.  [default: table]",
)  # fmt: skip
@takes("ls")
@click.pass_obj
def ls(around: Surroundings, /, name: str | None, watch: bool, output: str, **given: Any) -> None:
    """List the live records of all services, or of NAME."""
    etcd, prefix = Asked.of(given, around.environ).directory()
    listing = _Listing(around, name, prefix, output == "json")
    with around.agent.directory(etcd, prefix) as directory:
        if not watch:
            listing.once(directory.snapshot())
            return
        before = Snapshot()
        for after in directory.follow():
            listing.follow(before, after)
            before = after


class _Listing:
    """Prints snapshots; what is wrong with one goes to stderr, of those followed by their log."""

    def __init__(self, around: Surroundings, name: str | None, prefix: str, json: bool) -> None:
        self._around = around
        self._name = name
        self._under = f"{prefix}/{name}/" if name else f"{prefix}/"
        self._json = json

    def once(self, snapshot: Snapshot) -> None:
        for line in table.rejections(Snapshot(), snapshot, self._under):
            click.echo(f"secretary: {line}", err=True)
        if self._json:
            click.echo(table.as_json(snapshot, self._name))
        elif snapshot.of(self._name):
            click.echo(table.as_table(snapshot, self._name, self._around.now()))
        else:
            click.echo(f"secretary: nothing is registered under {printable(self._under)}", err=True)

    def follow(self, before: Snapshot, after: Snapshot) -> None:
        now = self._around.now()
        if not self._json and sys.stdout.isatty():
            click.echo(table.as_screen(after, self._name, now))
        else:
            for change in changes.changes(before, after, self._name):
                line = changes.as_json(change) if self._json else changes.as_line(change, now)
                click.echo(line)
