"""`secretary ha` on a real pair: what it refuses, in which order things leave, and what lasts."""

import json
from typing import Any, Final

import pytest

from tests.system.node import Node
from tests.system.outage import Client
from tests.system.pair_bed import HA, Pair
from tests.waiting import wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

NOBODY: Final = ("setpriv", "--reuid=65534", "--clear-groups")


def told(node: Node) -> dict[str, Any]:
    """Return what status says there, by balancer, and of the whole under an empty name."""
    said = json.loads(node(*HA, "status", "-o", "json").stdout)
    return {each["name"]: each for each in said["balancers"]} | {"": said}


def is_fresh(pair: Pair) -> None:
    """Wait until both balancers have been judged."""

    def both_are() -> bool:
        said = told(pair.one)
        return all(said[node.name]["fresh"] is True for node in pair.balancers)

    wait_for(both_are, timeout_s=30)


def refuses(node: Node, *arguments: str) -> str:
    """Return the one line in which it does."""
    done = node(*HA, *arguments, check=False)
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()
    return line


def test_both_balancers_tell_the_same_of_a_pair_that_is_well(pair: Pair) -> None:
    is_fresh(pair)
    wait_for(lambda: told(pair.one) == told(pair.two))
    said = told(pair.one)
    assert (said[""]["quorum"], said[""]["fencing"], said[""]["failures"]) == (True, False, [])
    (holder,) = [name for name, each in said.items() if name and each["addresses"]]
    assert holder == pair.holder().name
    assert "address" in pair.one(*HA, "status").stdout


def test_haproxy_runs_until_the_address_has_left(pair: Pair) -> None:
    """The cluster's own journal says when each of them ended; no rule of ours stays in it."""
    is_fresh(pair)
    leaving = pair.holder()
    with Client(pair.address) as client:
        leaving(*HA, "standby")
        client.is_served()
    assert pair.others(leaving) is pair.holder()
    assert not leaving.active("haproxy")
    left, stopped = (ended(leaving, resource) for resource in ("address", "haproxy"))
    assert left < stopped, leaving.journal("pacemaker")
    assert "cli-ban" not in leaving("cibadmin", "--query", "--scope", "constraints").stdout


def ended(node: Node, resource: str) -> int:
    """Return the place in Pacemaker's journal where a resource has been stopped last."""
    lines = node.journal("pacemaker").splitlines()
    words = f"Result of stop operation for {resource} on {node.name}: ok"
    return max(number for number, line in enumerate(lines) if words in line)


def test_the_last_one_is_not_let_go(pair: Pair) -> None:
    """Unless its operator insists; then nobody has the address."""
    last = pair.holder()
    other = pair.others(last)
    line = refuses(last, "standby")
    assert line.startswith(f"secretary: {last.name} is needed: {other.name} is standby")
    assert pair.holder() is last
    other(*HA, "standby", last.name, "--force")  # of the other, from here
    said = told(other)
    assert [said[node.name]["standing"] for node in pair.balancers] == ["standby", "standby"]
    last(*HA, "online")
    assert told(last)[last.name]["haproxy"] == "running"
    wait_for(lambda: told(last)[last.name]["addresses"] == ["address"])


def test_a_standby_outlasts_a_reboot(pair: Pair) -> None:
    """So a new kernel may be looked at before it serves."""
    (away,) = [node for node in pair.balancers if node is not pair.holder()]
    away.reboot()
    wait_for(pair.is_a_cluster, timeout_s=60)
    wait_for(lambda: told(away)[away.name]["standing"] == "standby", timeout_s=30)
    assert not away.active("haproxy")
    away(*HA, "online")
    said = told(away)[away.name]
    assert (said["standing"], said["haproxy"], said["fresh"]) == ("online", "running", True)
    pair.is_ready()


def test_without_a_cluster_or_the_right_it_says_so(pair: Pair) -> None:
    refused = pair.one(*NOBODY, *HA, "status", check=False)
    assert refused.stderr == (
        "secretary: crm_mon: Pacemaker lets in root and the group haclient alone\n"
    )
    assert "no cluster runs here" in refuses(pair.apps, "status")
    away = pair.others(pair.holder())
    away.systemctl("stop", "pacemaker")
    for verb in ("status", "standby", "online"):
        assert "no cluster runs here: systemctl start pacemaker" in refuses(away, verb)
    away.systemctl("start", "pacemaker")
    pair.is_ready()
