"""An OpenStack of the tests' own, on loopback: a real Nova in a process of its own.

    with OpenStack() as cloud:
        provider = open_openstack(cloud.group("web"), cloud.environ())
        with cloud.fault(method="POST", path="/servers$", status=503):
            ...

What is asked here goes to Nova directly, as an administrator, and not through the code under test.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import requests

from secretary.core.scaling import MachineSettings, ProviderName, ScaleGroup
from secretary.devetcd import mortal
from tests.clouds.openstack_fronts import PASSWORD, REGION
from tests.clouds.openstack_home import nova_python
from tests.waiting import wait_for

CHECKOUT: Final = Path(__file__).parents[2]
PAGE: Final = 20
"""As tests/clouds/openstack_nova.py has it."""
IMAGE: Final = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
IMAGE_NAME: Final = "fakeimage6"
"""That only one image has."""
AMBIGUOUS_NAME: Final = "fakeimage123456"
"""That several images have."""
FLAVOR: Final = "m1.tiny"
TOO_LARGE: Final = "huge"
"""The flavor that there is no host for."""
NETWORK: Final = "private"
_READY_S: Final = 60.0
_GONE_S: Final = 120.0
"""For 200 machines, on a busy machine."""
_TIMEOUT_S: Final = 30.0
_VERSION: Final = {"X-OpenStack-Nova-API-Version": "2.52"}


class OpenStack:
    """Runs while entered."""

    def __enter__(self) -> Self:
        python = nova_python()
        self._directory = Path(tempfile.mkdtemp(prefix="secretary-openstack-"))
        self._log = self._directory / "log"
        environ = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        environ |= {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(self._directory)}
        environ |= {"PYTHONDONTWRITEBYTECODE": "1"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                mortal([str(python), "-m", "tests.clouds.openstack_server", "0"]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                cwd=self._directory,
            )
        try:
            self.url = wait_for(self._listens_at, timeout_s=_READY_S, what="Nova listens")
        except BaseException:
            self.__exit__()
            raise
        self._session = requests.Session()
        self._token = ""
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(AttributeError):  # it never listened
            self._session.close()
        self._process.kill()  # all that it has is in memory
        self._process.wait()
        shutil.rmtree(self._directory)

    def _listens_at(self) -> str | None:
        log = self._log.read_text()
        assert self._process.poll() is None, f"Nova ended:\n{log[-3000:]}"
        at = [line.removeprefix("listens on ") for line in log.splitlines() if "listens on" in line]
        return at[0] if at else None

    def environ(self, user: str = "scaler", **more: str) -> dict[str, str]:
        """Return the variables of a user; "admin" may ask for diagnostics too."""
        return {
            "OS_AUTH_URL": f"{self.url}/identity/v3",
            "OS_USERNAME": user,
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": "lab",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": REGION,
            **more,
        }

    def group(self, name: str, **machine: Any) -> ScaleGroup:
        settings = {"image": IMAGE, "size": FLAVOR, "network": NETWORK, **machine}
        return ScaleGroup(
            name=name,
            service="web",
            provider=ProviderName.OPENSTACK,
            machine=MachineSettings(**settings),
        )

    def servers(self, **query: str) -> list[dict[str, Any]]:
        """Return all that Nova has, whoever made them."""
        found: dict[str, dict[str, Any]] = {}  # what is built may move from page to page
        marker: dict[str, str] = {}
        while True:
            page = self.ask("GET", "/servers/detail", params={**query, **marker})
            found |= {server["id"]: server for server in page["servers"]}
            if "servers_links" not in page:
                return list(found.values())
            marker = {"marker": page["servers"][-1]["id"]}

    def make(
        self, name: str, tags: Sequence[str] = (), count: int = 1, flavor: str = FLAVOR, **more: Any
    ) -> str:
        """Make servers and return the id of the first."""
        server: dict[str, Any] = {
            "name": name,
            "imageRef": IMAGE,
            "flavorRef": _id_of(flavor),
            "tags": list(tags),
        }
        server |= {"networks": "auto", "min_count": count, **more}
        made: str = self.ask("POST", "/servers", json={"server": server})["server"]["id"]
        return made

    def fill(self, name: str, tags: Sequence[str], count: int) -> None:
        """Make that many servers, the cheap way: no host has room for them, and yet they are."""
        for made in range(0, count, PAGE):  # Nova is slow with many at once
            self.make(name, tags, min(PAGE, count - made), TOO_LARGE)
            wait_for(self.are_built, timeout_s=_READY_S)

    def wait_active(self, id_: str) -> None:
        def is_active() -> bool:
            return bool(self.ask("GET", f"/servers/{id_}")["server"]["status"] == "ACTIVE")

        wait_for(is_active, timeout_s=_READY_S, what=f"{id_} is active")

    def are_built(self) -> bool:
        """Whether each has become what it will be."""
        return not self.ask("GET", "/servers", params={"status": "BUILD", "limit": 1})["servers"]

    @contextlib.contextmanager
    def quota(self, **limits: int) -> Iterator[None]:
        """While entered the project may have no more than that."""
        project = self._project()
        before = self.ask("GET", f"/os-quota-sets/{project}")["quota_set"]
        self._limit(project, limits)
        try:
            yield
        finally:
            self._limit(project, {name: before[name] for name in limits})

    def remove_all(self) -> None:
        def all_are_gone() -> bool:
            left = self.servers()
            for server in left:
                if server["OS-EXT-STS:task_state"] != "deleting":
                    # It may be gone meanwhile, or be between two of Nova's tables.
                    self._ask("DELETE", f"/servers/{server['id']}")
            return not left

        wait_for(all_are_gone, timeout_s=_GONE_S)

    def ask(self, method: str, path: str, **how: Any) -> Any:
        """Ask Nova itself; AssertionError where it refuses."""
        answer = self._ask(method, path, **how)
        if answer.status_code == 401:
            self._token = self._login().headers["X-Subject-Token"]
            answer = self._ask(method, path, **how)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @contextlib.contextmanager
    def fault(self, **fault: Any) -> Iterator[None]:
        """While entered, or as many times as it says, this goes wrong (see openstack_faults.py)."""
        self._control("fault", fault)
        try:
            yield
        finally:
            self.mend()

    def faults(self) -> list[dict[str, Any]]:
        """Return those that are still to come."""
        faults: list[dict[str, Any]] = self._control("faults")
        return faults

    def mend(self) -> None:
        """End all faults, and give the users their password and Nova its age back."""
        self._control("mend")

    def asked(self) -> list[tuple[str, str]]:
        """Return the method and the path, with the query, of all that was asked so far."""
        return [(method, path) for method, path in self._control("asked")]

    def tokens(self) -> list[str]:
        """Return those that are good."""
        tokens: list[str] = self._control("tokens")
        return tokens

    def revoke_tokens(self) -> None:
        self._control("revoke")

    def change_password(self, password: str) -> None:
        """Give the user that is not the administrator another one."""
        self._control("password", password)

    def pretend_to_speak(self, microversion: str) -> None:
        """Let Nova say that this is its newest version."""
        self._control("microversion", microversion)

    def _control(self, what: str, said: Any = None) -> Any:
        answer = self._session.post(f"{self.url}/control/{what}", json=said, timeout=_TIMEOUT_S)
        assert answer.status_code == 200, f"{what}: {answer.text}"
        return answer.json()

    def _ask(self, method: str, path: str, **how: Any) -> requests.Response:
        headers = {"X-Auth-Token": self._token, **_VERSION}
        url = f"{self.url}/compute/v2.1{path}"
        return self._session.request(method, url, headers=headers, timeout=_TIMEOUT_S, **how)

    def _limit(self, project: str, limits: Mapping[str, int]) -> None:
        body = {"quota_set": {"force": True, **limits}}
        self.ask("PUT", f"/os-quota-sets/{project}", json=body)

    def _project(self) -> str:
        project: str = self._login().json()["token"]["project"]["id"]
        return project

    def _login(self) -> requests.Response:
        password = {"user": {"name": "admin", "password": PASSWORD}}
        body = {"auth": {"identity": {"methods": ["password"], "password": password}}}
        url = f"{self.url}/identity/v3/auth/tokens"
        return self._session.post(url, json=body, timeout=_TIMEOUT_S)


def _id_of(flavor: str) -> str:
    return {FLAVOR: "1", TOO_LARGE: TOO_LARGE}[flavor]
