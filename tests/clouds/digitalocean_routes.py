"""What DigitalOcean's API answers to a request that is as the specification wants it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.clouds.digitalocean_account import REGIONS, SIZES, Account, Droplet, region
from tests.clouds.digitalocean_reserved import Action

Query = Mapping[str, str]
_URL: Final = "https://api.digitalocean.com"
_SAMPLE_S: Final = 15
_PROJECT: Final = "746c6152-2fa2-11ed-92d3-27aaa54e4988"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any] | None = None


NOT_FOUND: Final = Answer(
    404, {"id": "not_found", "message": "The resource you were accessing could not be found."}
)


def answer(account: Account, method: str, path: str, query: Query, body: Any) -> Answer:
    """Carry the request out."""
    with account.lock:
        for wanted, pattern, route in _ROUTES:
            if wanted == method and (match := re.fullmatch(pattern, path)):
                return route(account, query, body, *match.groups())
    return NOT_FOUND


def _droplets(account: Account, query: Query, _: Any) -> Answer:
    if "tag_name" in query and ("name" in query or "type" in query):
        return Answer(400, {"id": "bad_request", "message": "tag_name cannot be combined"})
    if "tag_name" in query:
        found = account.tagged(query["tag_name"])
    else:
        name = query.get("name", "").lower()
        found = [each for each in account.droplets.values() if name in ("", each.name.lower())]
    return _page("droplets", [account.view(each) for each in found], query, "/v2/droplets")


def _create(account: Account, _: Query, body: Any) -> Answer:
    if len(account.droplets) >= account.droplet_limit:
        return _refused("creating this/these droplet(s) will exceed your droplet limit.")
    wanted = body["image"]
    images = account.images.values()
    image = next((each for each in images if wanted in (each["id"], each["slug"])), None)
    if image is None:
        return _refused("You specified an invalid image for Droplet creation.")
    if body["size"] not in SIZES:
        return _refused("You specified an invalid size for Droplet creation.")
    if body.get("region", REGIONS[0]) not in REGIONS:
        return _refused("You specified an invalid region for Droplet creation.")
    if not set(body.get("ssh_keys", ())) <= {*account.keys, *map(_fingerprint, account.keys)}:
        return _refused("ssh_keys are invalid key identifiers for Droplet creation.")
    if body.get("vpc_uuid", next(iter(account.vpcs))) not in account.vpcs:
        return _refused("Failed to resolve VPC")
    made = account.make(body, image)
    action = {"id": made.id, "rel": "create", "href": f"{_URL}/v2/actions/{made.id}"}
    return Answer(202, {"droplet": account.view(made), "links": {"actions": [action]}})


def _droplet(account: Account, _: Query, __: Any, id_: str) -> Answer:
    found = account.droplets.get(int(id_))
    return Answer(200, {"droplet": account.view(found)}) if found else NOT_FOUND


def _destroy(account: Account, _: Query, __: Any, id_: str) -> Answer:
    return Answer(204) if account.droplets.pop(int(id_), None) else NOT_FOUND


def _images(account: Account, query: Query, _: Any) -> Answer:
    is_private = query.get("private") == "true"
    found = [each for each in account.images.values() if not (is_private and each["public"])]
    return _page("images", found, query, "/v2/images")


def _keys(account: Account, query: Query, _: Any) -> Answer:
    found = [
        {"id": id_, "fingerprint": _fingerprint(id_), "public_key": "ssh-ed25519 A", "name": name}
        for id_, name in account.keys.items()
    ]
    return _page("ssh_keys", found, query, "/v2/account/keys")


def _vpcs(account: Account, query: Query, _: Any) -> Answer:
    found = [
        {
            "id": id_,
            "urn": f"do:vpc:{id_}",
            "name": name,
            "description": "",
            "region": REGIONS[0],
            "ip_range": "10.110.0.0/16",
            "default": number == 0,
            "created_at": "2026-03-13T19:20:47.442049222Z",
        }
        for number, (id_, name) in enumerate(account.vpcs.items())
    ]
    return _page("vpcs", found, query, "/v2/vpcs")


def _make_tag(account: Account, _: Query, body: Any) -> Answer:
    account.tags.add(body["name"])
    resources = {"count": 0, "last_tagged_uri": ""}
    return Answer(201, {"tag": {"name": body["name"], "resources": resources}})


def _assign(account: Account, _: Query, body: Any, tag: str) -> Answer:
    found = _resources(account, body)
    if tag not in account.tags or None in found:
        return NOT_FOUND
    for droplet in found:
        if droplet is not None:
            account.put_tag(droplet, tag)
    return Answer(204)


def _unassign(account: Account, _: Query, body: Any, tag: str) -> Answer:
    found = _resources(account, body)
    if tag not in account.tags or None in found:
        return NOT_FOUND
    for droplet in found:
        if droplet is not None:
            droplet.tags.pop(tag, None)
    return Answer(204)


def _resources(account: Account, body: Any) -> list[Droplet | None]:
    return [account.droplets.get(int(each["resource_id"])) for each in body["resources"]]


def _cpu(account: Account, query: Query, _: Any) -> Answer:
    droplet = account.droplets.get(int(query["host_id"]))
    result = []
    if droplet is not None and droplet.busy is not None and droplet.asked.get("monitoring", True):
        start, end = int(query["start"]), int(query["end"])
        shares = {
            "idle": (1 - droplet.busy) * 0.9,
            "iowait": (1 - droplet.busy) * 0.1,
            "steal": 0.0,
            "system": droplet.busy * 0.2,
            "user": droplet.busy * 0.8,
        }
        cores = SIZES[droplet.size]
        result = [
            {
                "metric": {"host_id": str(droplet.id), "mode": mode},
                "values": [
                    [at, f"{1000 + (at - start) * share * cores:.2f}"]
                    for at in range(start, end + 1, _SAMPLE_S)
                ],
            }
            for mode, share in shares.items()
        ]
    data = {"resultType": "matrix", "result": result}
    return Answer(200, {"status": "success", "data": data})


def _reserved(account: Account, _: Query, __: Any, ip: str) -> Answer:
    found = account.reserved.get(ip)
    if found is None:
        return NOT_FOUND
    told: dict[str, Any] = {
        "ip": ip,
        "region": region(REGIONS[0]),
        "locked": found.going_on is not None,
        "project_id": _PROJECT,
    }
    if not account.reserved.hides_droplets:
        holder = account.droplets.get(found.droplet_id or 0)
        told["droplet"] = account.view(holder) if holder else None
    return Answer(200, {"reserved_ip": told})


def _move(account: Account, _: Query, body: Any, ip: str) -> Answer:
    found = account.reserved.get(ip)
    if found is None:
        return NOT_FOUND
    if found.going_on is not None:
        return _refused("The floating IP already has a pending event.")
    to = body.get("droplet_id")
    if body["type"] == "assign" and (to not in account.droplets):
        return _refused("Droplet is not available.")
    if to is not None and account.droplets[to].region != REGIONS[0]:
        return _refused("The droplet and the floating IP are not in the same region.")
    return Answer(201, {"action": _action(account.reserved.begin(found, to))})


def _moved(account: Account, _: Query, __: Any, ip: str, id_: str) -> Answer:
    account.reserved.get(ip)
    action = account.reserved.actions.get(int(id_))
    if account.reserved.hides_actions or action is None or action.ip != ip:
        return NOT_FOUND
    return Answer(200, {"action": _action(action)})


def _action(action: Action) -> dict[str, Any]:
    started = f"{action.started:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "id": action.id,
        "status": action.status,
        "type": "unassign_ip" if action.to is None else "assign_ip",
        "started_at": started,
        "completed_at": None if action.status == "in-progress" else started,
        "resource_id": 758604968,
        "resource_type": "reserved_ip",
        "region": region(REGIONS[0]),
        "region_slug": REGIONS[0],
        "project_id": _PROJECT,
    }


def _page(items: str, found: list[Any], query: Query, path: str) -> Answer:
    size, number = int(query.get("per_page", 20)), int(query.get("page", 1))
    last = max(1, -(-len(found) // size))

    def url(page: int) -> str:
        changed = {**query, "page": page, "per_page": size}
        return f"{_URL}{path}?" + "&".join(f"{key}={value}" for key, value in changed.items())

    pages: dict[str, str] = {}
    if number < last:
        pages |= {"next": url(number + 1), "last": url(last)}
    if number > 1:
        pages |= {"first": url(1), "prev": url(number - 1)}
    return Answer(
        200,
        {
            items: found[(number - 1) * size : number * size],
            "links": {"pages": pages} if pages else {},
            "meta": {"total": len(found)},
        },
    )


def _fingerprint(id_: int) -> str:
    return ":".join(f"{(id_ + byte) % 256:02x}" for byte in range(16))


def _refused(message: str) -> Answer:
    return Answer(422, {"id": "unprocessable_entity", "message": message})


_ROUTES: Final[tuple[tuple[str, str, Callable[..., Answer]], ...]] = (
    ("GET", "/v2/droplets", _droplets),
    ("POST", "/v2/droplets", _create),
    ("GET", r"/v2/droplets/(\d+)", _droplet),
    ("DELETE", r"/v2/droplets/(\d+)", _destroy),
    ("GET", "/v2/images", _images),
    ("GET", "/v2/account/keys", _keys),
    ("GET", "/v2/vpcs", _vpcs),
    ("POST", "/v2/tags", _make_tag),
    ("POST", "/v2/tags/([^/]+)/resources", _assign),
    ("DELETE", "/v2/tags/([^/]+)/resources", _unassign),
    ("GET", "/v2/monitoring/metrics/droplet/cpu", _cpu),
    ("GET", r"/v2/reserved_ips/([^/]+)", _reserved),
    ("POST", r"/v2/reserved_ips/([^/]+)/actions", _move),
    ("GET", r"/v2/reserved_ips/([^/]+)/actions/(\d+)", _moved),
)
