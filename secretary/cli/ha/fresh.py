"""`secretary ha fresh`: whether this host's renderer has applied what etcd holds."""

from typing import Final

import click

from secretary.cli.asked import Asked
from secretary.cli.ha.time import takes_time
from secretary.cli.surroundings import Surroundings
from secretary.core.errors import SettingsError
from secretary.core.options import BY_NAME
from secretary.core.values import printable

BEHIND: Final = 1
UNKNOWN: Final = 3


@click.command()
@click.option("--config", metavar="FILE", help="The renderer's configuration.")
@takes_time(
    "--max-lag", "0s", "10m", default="10s", help="What the renderer gets to apply it, from now on."
)
@click.pass_obj
def fresh(around: Surroundings, /, config: str | None, max_lag: float) -> int:
    """Compare what etcd holds with what the renderer of this host says it has applied.

    Exit 0 when it is fresh, 1 when it is behind, 2 for wrong settings, and 3 when etcd is away, so
    that nothing can be said. Variables count as they do for render.
    """
    if config is None and BY_NAME["config"].variable not in around.environ:
        raise SettingsError("--config is missing: the renderer's, /etc/secretary/render.toml say")
    settings = Asked.of({"config": config}, around.environ).render()
    try:
        from secretary.renderer import inquiry
        from secretary.renderer.freshness import Verdict
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"ha fresh needs {error.name}: install secretary with its extra [render]"
        ) from error
    found = inquiry.freshness(settings, max_lag)
    click.echo(f"{found.verdict.value}: {printable(found.why)}")
    return {Verdict.FRESH: 0, Verdict.BEHIND: BEHIND, Verdict.UNKNOWN: UNKNOWN}[found.verdict]
