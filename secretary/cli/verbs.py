"""`secretary run`, `host`, `check` and `health`."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

import click

from secretary.cli.asked import Asked, takes
from secretary.cli.surroundings import Surroundings
from secretary.core.errors import SettingsError
from secretary.core.reading import Origin
from secretary.core.resolve import Resolved

_MARKS: Final = {True: "ok", False: "FAIL", None: "note"}


@click.command()
@takes("run")
@click.pass_obj
def run(around: Surroundings, /, **given: Any) -> int:
    """Keep the app's record true while the app is healthy, until SIGTERM or SIGINT."""
    asked = Asked.of(given, around.environ)
    settings = asked.resolve().settings
    return around.agent.run(settings, lambda: asked.resolve().settings)


@click.command()
@click.option("--check", is_flag=True, help="Do it once, say what was found, leave nothing behind.")
@takes("host")
@click.pass_obj
def host(around: Surroundings, /, check: bool, **given: Any) -> int:
    """Keep a record for each labelled container of this Docker host."""
    asked = Asked.of(given, around.environ)
    resolved = asked.host()
    if check:
        return _examined(around, resolved)
    return around.agent.run(resolved.settings, lambda: asked.host().settings)


@click.command()
@takes("check")
@click.pass_obj
def check(around: Surroundings, /, **given: Any) -> int:
    """Do once what run would do, say what was found, and leave nothing behind."""
    return _examined(around, Asked.of(given, around.environ).resolve())


def _examined(around: Surroundings, resolved: Resolved) -> int:
    for line in settled(resolved.origins):
        click.echo(line)
    failed = False
    for finding in around.agent.check(resolved.settings):
        click.echo(f"{_MARKS[finding.ok]:<4}  {finding.title}: {finding.text}")
        failed = failed or finding.ok is False
    return int(failed)


@click.command()
@click.option("--ready", is_flag=True, help="Ask whether the app is registered, not just alive.")
@takes("health")
@click.pass_obj
def health(around: Surroundings, /, ready: bool, **given: Any) -> int:
    """Ask the secretary that runs here how it is; exit 0 or 1."""
    at = Asked.of(given, around.environ).status()
    if at is None:
        raise SettingsError("--status: is off, so nobody can be asked")
    is_well, words = around.agent.ask_status(at, "/readyz" if ready else "/livez")
    click.echo(words.strip(), err=not is_well)
    return 0 if is_well else 1


def settled(origins: Iterable[Origin]) -> Iterator[str]:
    """Yield a line for each setting that was given, and one for the defaults of each service."""
    for service, group in groupby(origins, key=lambda origin: origin.service):
        of = f"{service}: " if service else ""
        defaults = []
        for origin in group:
            if origin.is_default:
                defaults.append(f"{origin.option} = {origin.value}")
            else:
                yield f"settings  {of}{origin.option} = {origin.value} from {origin.source}"
        if defaults:
            yield f"settings  {of}{', '.join(defaults)} by default"
