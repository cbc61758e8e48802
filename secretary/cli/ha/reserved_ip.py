"""`secretary ha reserved-ip`: DigitalOcean's floating address, by hand and for the agent.

Knows nothing of Pacemaker: `deploy/pacemaker/ocf/reserved-ip` does.
"""

from collections.abc import Callable
from typing import TypeVar

import click

from secretary.cli.ha.time import takes_time
from secretary.cli.surroundings import Surroundings
from secretary.core.values import printable

_Verb = TypeVar("_Verb", bound=Callable[..., object])


@click.group("reserved-ip")
def reserved_ip() -> None:
    """Look at a reserved address of DigitalOcean's, or give it to a droplet."""


def _takes_token(command: _Verb) -> _Verb:
    return click.option(
        "--token-file",
        metavar="FILE",
        help="The token's file, which only its owner may read. Without it: DIGITALOCEAN_TOKEN or"
        " DIGITALOCEAN_TOKEN_FILE.",
    )(command)


@reserved_ip.command("show")
@click.argument("address")
@_takes_token
@click.pass_obj
def show(around: Surroundings, /, address: str, token_file: str | None) -> int:
    """Say which droplet has the address."""
    from secretary.scaler.inquiry import reserved_address  # etcd's client comes with it

    with reserved_address(address, around.environ, token_file) as reserved:
        held = reserved.held()
    who = "nobody has it"
    if held.droplet_id is not None:
        who = f"droplet {held.droplet_id} ({printable(held.droplet_name)}) has it"
    click.echo(f"{address}: {who}{'; an action on it goes on' if held.is_locked else ''}")
    return 0


@reserved_ip.command("assign")
@click.argument("address")
@click.option(
    "--droplet",
    type=click.IntRange(1),
    required=True,
    help="Its number: http://169.254.169.254/metadata/v1/id says it to the droplet itself.",
)
@takes_time("--timeout", "1s", "10m", default="40s", help="For all of it together.")
@_takes_token
@click.pass_obj
def assign(
    around: Surroundings, /, address: str, droplet: int, timeout: float, token_file: str | None
) -> int:
    """Give the address to a droplet, and return when the droplet has it."""
    from secretary.scaler.inquiry import reserved_address

    with reserved_address(address, around.environ, token_file) as reserved:
        done = reserved.assign(droplet, timeout)
    click.echo(f"{address}: droplet {droplet} has it{' now' if done.changed else ' already'}")
    return 0
