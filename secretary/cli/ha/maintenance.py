"""Whether a balancer can be spared, whether it has left, and whether it is back. Pure."""

from typing import Final

from secretary.cli.ha.pair import Balancer, Pair, Running, Standing

LEAST_REACHED: Final = 2
"""Below it a node gives the address up, by deploy/pacemaker/cluster.crm."""


def not_to_be_spared(pair: Pair, leaving: Balancer) -> str | None:
    """Return why `leaving` had better stay; None when the others can do without it."""
    if not pair.quorum:
        return "the cluster has no quorum"
    if pair.unmanaged:
        return "the cluster is in maintenance mode, and moves nothing"
    if pair.nowhere:
        return f"nobody has {' and '.join(pair.nowhere)}"
    if not leaving.addresses:
        return None  # whatever the others are like: nothing moves
    others = [each for each in pair.balancers if each != leaving]
    wanting = [want for other in others if (want := wants(pair, other) or _without(other, leaving))]
    if len(wanting) < len(others):
        return None
    return "; ".join(wanting) or "there is no other balancer"


def wants(pair: Pair, balancer: Balancer) -> str | None:
    """Return what keeps a balancer from serving in good order; None when nothing does."""
    if balancer.standing is not Standing.ONLINE:
        return f"{balancer.name} is {balancer.standing.value}"
    if balancer.haproxy is not Running.RUNNING:
        return _how_haproxy_is(balancer)
    if balancer.fresh is False:
        return (
            f"the configuration of {balancer.name} is behind the directory, or wrong; the journal"
            " there says which"
        )
    if balancer.fresh is None and pair.judged:
        return f"whether the configuration of {balancer.name} is fresh is not known yet"
    return None


def _without(other: Balancer, leaving: Balancer) -> str | None:
    """Return why `other` would not keep the address once the host of `leaving` is off."""
    if other.reach is None or other.reach.hosts - 1 >= LEAST_REACHED:
        return None
    return (
        f"{other.name} reaches {other.reach.hosts} of {other.reach.asked} hosts, and would give the"
        f" address up when {leaving.name} is off"
    )


def still_serving(pair: Pair, leaving: Balancer) -> str | None:
    """Return what keeps it from being spared at this moment; None when others have what it had."""
    if leaving.addresses:
        return f"{leaving.name} still has {' and '.join(leaving.addresses)}"
    if pair.nowhere:
        return f"nobody has {' and '.join(pair.nowhere)}"
    return None


def still_running(_: Pair, leaving: Balancer) -> str | None:
    """Return what still runs there; None when nothing does."""
    if not leaving.busy:
        return None
    has = " and ".join(leaving.addresses)
    return f"{leaving.name} still has {has}" if has else _how_haproxy_is(leaving)


def _how_haproxy_is(balancer: Balancer) -> str:
    return f"HAProxy is {balancer.haproxy.value} on {balancer.name}"
