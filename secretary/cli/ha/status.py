"""`secretary ha status`: the pair at a glance, as a table for people or as JSON for programs."""

from collections.abc import Iterator

import click
import msgspec

from secretary.cli.ha.cluster import Cluster
from secretary.cli.ha.pair import Balancer, Pair
from secretary.cli.surroundings import Surroundings
from secretary.cli.table import aligned

COLUMNS = ("NODE", "STATE", "HAPROXY", "FRESH", "ADDRESS")
_FRESH = {True: "yes", False: "no", None: "-"}


@click.command()
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table",
    help="How to print it.  [default: table]",
)  # fmt: skip
@click.pass_obj
def status(around: Surroundings, /, output: str) -> None:
    """Say who serves, who could, and what has failed."""
    pair = Cluster(around.environ).pair()
    if output == "json":
        click.echo(msgspec.json.encode(pair).decode())
        return
    click.echo(aligned([COLUMNS, *(_row(balancer) for balancer in pair.balancers)]))
    click.echo("")
    for line in lines(pair):
        click.echo(line)


def lines(pair: Pair) -> Iterator[str]:
    """Yield what is to be said of the whole, and of each failure how to clear it."""
    if pair.quorum:
        yield "quorum: yes"
    else:
        yield "quorum: no; nothing runs here until this side has seen the other"
    if pair.fencing:
        yield "fencing: on"
    else:
        yield "fencing: off; a node that is silent is taken for dead"
    if pair.unmanaged:
        yield (
            "maintenance mode: the cluster moves nothing;"
            " crm configure property maintenance-mode=false ends it"
        )
    for address in pair.nowhere:
        yield f"{address}: nobody has it"
    for ban in pair.bans:
        yield f"{ban.resource}: was sent away from {ban.node}, and may not return"
        yield f"  {ban.lifted_by}"
    for balancer in pair.balancers:
        if balancer.reach is not None and balancer.reach.hosts < balancer.reach.asked:
            yield (
                f"{balancer.name}: reaches {balancer.reach.hosts} of {balancer.reach.asked} hosts;"
                " one that reaches itself alone gives the address up"
            )
    for each in pair.failures:
        when = f" at {each.at}" if each.at else ""
        yield f"failed: {each.task} of {each.resource} on {each.node}{when}: {each.said}"
        yield f"  {each.cleared_by}"


def _row(balancer: Balancer) -> tuple[str, ...]:
    return (
        balancer.name,
        balancer.standing.value,
        balancer.haproxy.value,
        _FRESH[balancer.fresh],
        ", ".join(balancer.addresses) or "-",
    )
