"""`secretary render`: as a service, once, or as a rehearsal."""

import difflib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from secretary.cli.asked import Asked, takes
from secretary.cli.surroundings import Surroundings
from secretary.core.errors import SecretaryError, SettingsError
from secretary.core.values import printable

if TYPE_CHECKING:
    from secretary.renderer.inquiry import Written

WOULD_CHANGE: Final = 3


@click.command()
@click.option("--once", is_flag=True, help="Publish what the directory holds now, and end.")
@click.option(
    "--dry-run",
    is_flag=True,
    help=f"Show what would change, touch nothing; exit {WOULD_CHANGE} if something would.",
)
@click.option("--check", is_flag=True, help="Try settings and templates with sample data, and end.")
@takes("render")
@click.pass_obj
def render(around: Surroundings, /, once: bool, dry_run: bool, check: bool, **given: Any) -> int:
    """Keep nginx and haproxy right, from the records in etcd, until SIGTERM or SIGINT."""
    if once + dry_run + check > 1:
        raise SettingsError("--once, --dry-run and --check: give one of them")
    asked = Asked.of(given, around.environ)
    settings = asked.render()
    try:
        from secretary.renderer import app, inquiry
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"render needs {error.name}: install secretary with its extra [render]"
        ) from error
    if check:
        for destination in inquiry.compile_all(settings):
            click.echo(f"ok    {destination}")
        return 0
    if dry_run:
        return _show(inquiry.differences(settings))
    if once:
        # Like Ctrl-C, so that what was begun is ended and nothing is left behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        status = 0
        for name, done in inquiry.once(settings):
            if isinstance(done, SecretaryError):
                status = 1
                click.echo(f"secretary: {done}", err=True)
            else:
                click.echo(f"{name}: {done}")
        return status
    return app.run(settings, asked.render)


def _show(found: "Iterator[Written]") -> int:
    """Print a unified diff of each file that would change."""
    status = 0
    for written in found:
        status = WOULD_CHANGE
        diff = difflib.unified_diff(
            written.before.decode(errors="replace").splitlines(),
            written.after.decode(errors="replace").splitlines(),
            f"{written.destination} (now)",
            f"{written.destination} (then)",
            lineterm="",
        )
        lines = list(diff) or [f"{written.destination}: only the ends of lines differ"]
        for line in lines:
            click.echo(printable(line))
    return status
