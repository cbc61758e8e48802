"""What stands in for OpenStack's other services, as much of each as a client of Nova asks.

Identity knows two users of one project, and gives out tokens; image and network tell what Nova
has been given by its own fixtures. None of them can be changed through its API.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

REGION = "RegionOne"
PASSWORD = "a-password-of-the-lab"
ROLES = {"scaler": "reader,member", "admin": "reader,member,admin"}
"""Of the users. Nova's own policy decides what these may."""

Named = Mapping[str, Any]


def answer(
    start: StartResponse, status: str, body: Any, headers: Sequence[tuple[str, str]] = ()
) -> Iterable[bytes]:
    told = json.dumps(body, default=str).encode()
    length = ("Content-Length", str(len(told)))
    start(status, [("Content-Type", "application/json"), length, *headers])
    return [told]


def asked(environ: WSGIEnvironment) -> Any:
    """Return the request's body."""
    return json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or "{}")


class Identity:
    """Keystone: a password for a token, and the catalogue of services."""

    def __init__(self, url: str, project: str) -> None:
        self._url = url
        self._project = project
        self.passwords = dict.fromkeys(ROLES, PASSWORD)
        self.tokens: dict[str, str] = {}
        """Each with its user."""

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            return self._log_in(asked(environ), start)
        link = {"rel": "self", "href": f"{self._url}/identity/v3/"}
        version = {"id": "v3.14", "status": "stable", "links": [link], "media-types": []}
        if environ["PATH_INFO"].rstrip("/").endswith("v3"):
            return answer(start, "200 OK", {"version": version})
        return answer(start, "300 Multiple Choices", {"versions": {"values": [version]}})

    def _log_in(self, body: Any, start: StartResponse) -> Iterable[bytes]:
        user = body["auth"]["identity"].get("password", {}).get("user", {})
        name = user.get("name")
        if name not in ROLES or user.get("password") != self.passwords[name]:
            message = "The request you have made requires authentication."
            error = {"code": 401, "message": message, "title": "Unauthorized"}
            return answer(start, "401 Unauthorized", {"error": error})
        token = uuid.uuid4().hex
        self.tokens[token] = name
        domain = {"id": "default", "name": "Default"}
        told = {
            "methods": ["password"],
            "user": {"id": name, "name": name, "domain": domain},
            "project": {"id": self._project, "name": "lab", "domain": domain},
            "roles": [{"id": role, "name": role} for role in ROLES[name].split(",")],
            "is_domain": False,
            "audit_ids": ["lab"],
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "catalog": [
                self._entry("identity", "identity/v3"),
                self._entry("compute", "compute/v2.1"),
                self._entry("image", "image"),
                self._entry("network", "network"),
            ],
        }
        return answer(start, "201 Created", {"token": told}, [("X-Subject-Token", token)])

    def _entry(self, service: str, path: str) -> Named:
        endpoints = [
            {
                "id": f"{service}-{interface}",
                "interface": interface,
                "region": REGION,
                "region_id": REGION,
                "url": f"{self._url}/{path}",
            }
            for interface in ("public", "internal", "admin")
        ]
        return {"type": service, "name": service, "id": service, "endpoints": endpoints}


class Images:
    """Glance: all images, or those of a name."""

    def __init__(self, url: str, images: Mapping[str, Named]) -> None:
        self._url = url
        self._images = images

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"].removeprefix("/image").strip("/")
        if not path.startswith("v2/"):
            link = {"rel": "self", "href": f"{self._url}/image/v2/"}
            version = {"id": "v2.9", "status": "CURRENT", "links": [link]}
            return answer(start, "300 Multiple Choices", {"versions": [version]})
        wanted = parse_qs(environ.get("QUERY_STRING", ""))
        told = [
            {key: image.get(key) for key in ("id", "name", "status", "created_at", "visibility")}
            for image in self._images.values()
            if image.get("name") in wanted.get("name", [image.get("name")])
            and image.get("status") in wanted.get("status", [image.get("status")])
        ]
        return answer(start, "200 OK", {"images": told, "first": "/v2/images"})


class Networks:
    """Neutron: one network by its id, or all of a name."""

    def __init__(self, url: str, networks: Mapping[str, Named]) -> None:
        self._url = url
        self._networks = networks

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"].removeprefix("/network").strip("/")
        if path in ("", "v2.0"):
            link = {"rel": "self", "href": f"{self._url}/network/v2.0/"}
            version = {"id": "v2.0", "status": "CURRENT", "links": [link]}
            return answer(start, "200 OK", {"versions": [version]})
        if id_ := path.removeprefix("v2.0/networks").strip("/"):
            if id_ not in self._networks:
                error = {"type": "NetworkNotFound", "message": f"no network {id_}", "detail": ""}
                return answer(start, "404 Not Found", {"NeutronError": error})
            return answer(start, "200 OK", {"network": self._networks[id_]})
        names = parse_qs(environ.get("QUERY_STRING", "")).get("name")
        told = [n for n in self._networks.values() if names is None or n["name"] in names]
        return answer(start, "200 OK", {"networks": told})
