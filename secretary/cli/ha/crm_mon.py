"""What `crm_mon --output-as=xml` says, as a pair of balancers. Pure.

Reads what Pacemaker 2 writes (api-version 2). What a pair is not made of is passed over; what it is
made of, and is not understood, is an error.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Final

from secretary.cli.ha.pair import Balancer, Ban, Failure, Pair, Reach, Running, Standing
from secretary.core.errors import ClusterError
from secretary.core.values import printable

ADDRESS: Final = frozenset(
    {"ocf:heartbeat:IPaddr2", "ocf:heartbeat:IPaddr", "ocf:secretary:reserved-ip"}
)
"""The agents of a floating address."""
OURS: Final = "ocf:secretary:balancer"
HAPROXY: Final = frozenset({OURS, "systemd:haproxy", "ocf:heartbeat:haproxy"})
"""The agents that may run HAProxy; ours alone judges whether it is fresh."""
FRESH: Final = "secretary-fresh"
BANNED: Final = "cli-ban-"
"""How the ids of bans begin that `crm_resource --ban` has made; other rules make bans too."""
_ROLES: Final = {
    "Started": Running.RUNNING,
    "Starting": Running.STARTING,
    "Stopping": Running.STOPPING,
    "Stopped": Running.STOPPED,
}


def decoded(text: str) -> Pair:
    """Return what it says. ClusterError when that is no such thing."""
    try:
        told = ET.fromstring(text)  # noqa: S314 - it is Pacemaker's own word, said to root
    except ET.ParseError as error:
        raise ClusterError(f"crm_mon: what it says is not XML: {error}") from error
    summary, nodes, resources = (_the(told, part) for part in ("summary", "nodes", "resources"))
    options, dc = summary.find("cluster_options"), summary.find("current_dc")
    if options is None or dc is None:
        raise ClusterError("crm_mon: says nothing of the cluster's options, or of who leads it")
    each = list(resources.iter("resource"))
    addresses = [resource for resource in each if _agent(resource) in ADDRESS]
    return Pair(
        balancers=tuple(
            _balancer(node, each, _attributes(told, _of(node, "name")))
            for node in sorted(nodes.findall("node"), key=lambda node: _of(node, "name"))
        ),
        addresses=tuple(sorted({_of(resource, "id") for resource in addresses})),
        judged=any(_agent(resource) == OURS for resource in each),
        quorum=_is(dc, "present") and _is(dc, "with_quorum"),
        fencing=_is(options, "stonith-enabled"),
        unmanaged=_is(options, "maintenance-mode"),
        failures=tuple(_failure(found) for found in told.iterfind("failures/failure")),
        bans=tuple(
            Ban(printable(_of(found, "resource")), printable(_of(found, "node")))
            for found in told.iterfind("bans/ban")
            if _of(found, "id").startswith(BANNED)
        ),
    )


def _balancer(
    node: ET.Element, resources: list[ET.Element], attributes: Mapping[str, ET.Element]
) -> Balancer:
    name = _of(node, "name")
    here = [each for each in resources if name in {_of(on, "name") for on in each.iter("node")}]
    runs = [_running(resource) for resource in here if _agent(resource) in HAPROXY]
    has = [each for each in here if _agent(each) in ADDRESS and _running(each) is Running.RUNNING]
    return Balancer(
        name=name,
        standing=_standing(node),
        haproxy=runs[0] if runs else Running.STOPPED,
        fresh=_fresh(name, attributes.get(FRESH)),
        addresses=tuple(sorted(_of(resource, "id") for resource in has)),
        busy=bool(here),
        reach=next(filter(None, map(_reach, attributes.values())), None),
    )


def _standing(node: ET.Element) -> Standing:
    if _is(node, "unclean"):
        return Standing.UNCLEAN
    if not _is(node, "online"):
        return Standing.OFFLINE
    for mark, standing in (
        ("pending", Standing.JOINING),
        ("shutdown", Standing.LEAVING),
        ("standby", Standing.STANDBY),
        ("standby_onfail", Standing.STANDBY),
        ("maintenance", Standing.MAINTENANCE),
    ):
        if _is(node, mark):
            return standing
    return Standing.ONLINE


def _running(resource: ET.Element) -> Running:
    if _is(resource, "failed"):
        return Running.FAILED
    role = _of(resource, "role")
    if role not in _ROLES:
        raise ClusterError(f"crm_mon: {_of(resource, 'id')} has the role {printable(role)}")
    return _ROLES[role]


def _fresh(node: str, attribute: ET.Element | None) -> bool | None:
    value = None if attribute is None else attribute.get("value")
    if value not in (None, "0", "1"):
        raise ClusterError(f"{node}: {FRESH} is {printable(value)}; it is 0 or 1")
    return None if value is None else value == "1"


def _reach(attribute: ET.Element) -> Reach | None:
    """Return what ocf:pacemaker:ping has found; `expected` stands with nothing else."""
    value, expected = attribute.get("value", ""), attribute.get("expected", "")
    if not (value.isdecimal() and expected.isdecimal()):
        return None
    return Reach(int(value), int(expected))


def _failure(found: ET.Element) -> Failure:
    said = found.get("exitreason") or _of(found, "exitstatus")
    key = found.get("op_key")  # RESOURCE_TASK_INTERVAL; not there when it is no operation's failure
    resource = key.rsplit("_", 2)[0] if key else _of(found, "id")
    return Failure(
        resource=printable(resource),
        node=printable(_of(found, "node")),
        task=printable(_of(found, "task")) if found.get("task") else "an action",
        said=printable(said),
        at=printable(found.get("last-rc-change", "")),
    )


def _attributes(told: ET.Element, name: str) -> dict[str, ET.Element]:
    return {
        _of(each, "name"): each
        for node in told.iterfind("node_attributes/node")
        if node.get("name") == name
        for each in node.iterfind("attribute")
    }


def _agent(resource: ET.Element) -> str:
    return _of(resource, "resource_agent").replace("::", ":")


def _the(told: ET.Element, part: str) -> ET.Element:
    found = told.find(part)
    if found is None:
        raise ClusterError(f"crm_mon: says nothing of its {part}: is it of Pacemaker 2?")
    return found


def _of(element: ET.Element, key: str) -> str:
    value = element.get(key)
    if value is None:
        raise ClusterError(f"crm_mon: a {element.tag} without {key}: is it of Pacemaker 2?")
    return value


def _is(element: ET.Element, key: str) -> bool:
    value = _of(element, key)
    if value not in ("true", "false"):
        raise ClusterError(f"crm_mon: {element.tag} {key} is {printable(value)}, not true or false")
    return value == "true"
