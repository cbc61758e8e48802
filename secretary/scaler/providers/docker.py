"""Docker as a provider of machines: a machine is a container of its own on a Docker host.

No image is ever pulled, and no port published: proxies reach the machines in their network.
A machine's user data is its variable USER_DATA.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Final
from urllib.parse import quote

import msgspec

from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused
from secretary.core.scaling import ScaleGroup
from secretary.scaler.ports import Provider, Seen
from secretary.scaler.providers import docker_machine
from secretary.scaler.providers.docker_calls import DockerCalls
from secretary.scaler.providers.docker_cpu import Limits, Look, Stats, looks, percent
from secretary.scaler.providers.docker_machine import Listed
from secretary.scaler.providers.docker_tags import SHORT, DockerTags
from secretary.scaler.providers.docker_transport import transport
from secretary.scaler.providers.user_data import user_data

START_S: Final = 20.0
"""What making, starting and removing a container may take beyond the time of another call."""
STOP_S: Final = 10
"""What a container gets between SIGTERM and SIGKILL."""
CPU_TIMEOUT_S: Final = 20.0
_MOST_AT_ONCE: Final = 16


def open_docker(group: ScaleGroup, environ: Mapping[str, str]) -> Provider:
    """Return the provider of a group's machines on the daemon that DOCKER_HOST names.

    SettingsError; an absent daemon is found out by the first call.
    """
    docker_machine.check(group)
    return Docker(group, DockerCalls(transport(environ)))


class Docker:
    """A `Provider`."""

    def __init__(self, group: ScaleGroup, calls: DockerCalls) -> None:
        self._group = group
        self._calls = calls
        self._tag = docker_machine.tag_of(group.name)
        self._tags = DockerTags(self._tag, calls)
        self._lock = threading.Lock()
        self._looks: dict[str, Look] = {}
        """The last at each machine's use of the CPU."""

    def create(self, name: str) -> Seen:
        asked = docker_machine.body(self._group, user_data(self._group, name))
        answer = self._calls.ask(
            "POST", "/containers/create", query={"name": name}, body=asked,
            accept=(201, 404), more_s=START_S,
        )  # fmt: skip
        if answer.status == 404:
            image = self._group.machine.image
            raise CloudRefused(f"{self._calls.at}: {name}: {answer.said}; docker pull {image}")
        made = self._calls.decode(answer, _Id)
        self._start(name, made.id)
        try:
            found = self._list("id", [made.id])
        except CloudError as error:
            raise CloudAway(f"{name} was made, and cannot be looked at: {error}") from error
        if not found:
            raise CloudAway(f"{self._calls.at}: {name} was made, and is gone")
        return self._seen(found[0])

    def machines(self) -> Sequence[Seen]:
        labelled = self._list("label", [self._tag])
        exceptions = self._tags.exceptions()
        ours = [each for each in labelled if each.id not in exceptions]
        foreign = exceptions.difference(each.id for each in labelled)
        if foreign:
            ours += self._list("id", sorted(foreign))
        return [self._seen(each) for each in ours]

    def delete(self, provider_id: str) -> bool:
        at = _path(provider_id)
        stopped = self._calls.ask(
            "POST", f"{at}/stop", query={"t": STOP_S}, accept=(204, 304, 404),
            more_s=STOP_S,
        )  # fmt: skip
        if stopped.status == 404:
            return False
        self._remove(provider_id)
        with suppress(CloudError):  # a volume for a container that is gone means nothing
            self._tags.forget(provider_id)
        return True

    def find(self, id_or_name: str) -> Seen | None:
        told = self._inspect(id_or_name)
        if told is None:
            return None
        is_named = told.name == f"/{id_or_name}"
        # Docker takes the beginning of an id as well, however short.
        if not is_named and not (len(id_or_name) >= SHORT and told.id.startswith(id_or_name)):
            return None
        found = self._list("id", [told.id])
        return self._seen(found[0]) if found else None

    def tag(self, provider_id: str) -> None:
        told = self._inspect(provider_id)
        if told is None:
            raise CloudRefused(f"{self._calls.at}: there is no container {provider_id}")
        self._tags.set(told.id, told.labels, True)

    def untag(self, provider_id: str) -> None:
        told = self._inspect(provider_id)
        if told is not None:
            self._tags.set(told.id, told.labels, False)

    def cpu(self, provider_ids: Sequence[str]) -> Mapping[str, float]:
        if not provider_ids:
            return {}
        with ThreadPoolExecutor(min(len(provider_ids), _MOST_AT_ONCE)) as threads:
            asked = {id_: threads.submit(self._load, id_) for id_ in provider_ids}
            done = wait(asked.values(), CPU_TIMEOUT_S).done
            threads.shutdown(wait=False, cancel_futures=True)
        found = {id_: future.result() for id_, future in asked.items() if future in done}
        errors = [each for each in found.values() if isinstance(each, CloudError)]
        if errors and len(errors) == len(found):
            raise errors[0]
        with self._lock:
            self._looks = {id_: look for id_, look in self._looks.items() if id_ in asked}
        return {id_: load for id_, load in found.items() if isinstance(load, float)}

    def close(self) -> None:
        self._calls.close()

    def _start(self, name: str, id_: str) -> None:
        """Start what was made. When that is refused, nothing is left of it."""
        try:
            answer = self._calls.ask(
                "POST", f"{_path(id_)}/start", accept=(204, 304, 500), more_s=START_S
            )
        except (CloudBusy, CloudRefused) as error:
            self._undo(name, id_, error)
            raise
        if answer.status == 500:  # what it cannot start: no such network or command, no memory
            refused = CloudRefused(f"{self._calls.at}: {name}: {answer.said}")
            self._undo(name, id_, refused)
            raise refused

    def _undo(self, name: str, id_: str, why: CloudError) -> None:
        try:
            self._remove(id_)
        except CloudError as error:
            raise CloudAway(f"{why}; and {name}, made but not started, is left: {error}") from error

    def _remove(self, id_: str) -> None:
        # 409: somebody else removes it at this moment.
        self._calls.ask(
            "DELETE", _path(id_), query={"force": "true", "v": "true"}, accept=(204, 404, 409),
            more_s=START_S,
        )  # fmt: skip

    def _list(self, by: str, values: Sequence[str]) -> list[Listed]:
        query = {"all": "true", "filters": {by: values}}
        answer = self._calls.ask("GET", "/containers/json", query=query)
        listed: list[Listed] = self._calls.decode(answer, list[Listed])
        return listed

    def _inspect(self, id_or_name: str) -> "_Inspected | None":
        answer = self._calls.ask("GET", f"{_path(id_or_name)}/json", accept=(200, 404))
        if answer.status == 404:
            return None
        told: _Inspected = self._calls.decode(answer, _Inspected)
        return told

    def _load(self, id_: str) -> float | CloudError | None:
        """Return its load since our last look at it, or of a second, or why it is not known."""
        try:
            told = self._inspect(id_)
            if told is None:
                return None
            query = {"stream": "false"}
            answer = self._calls.ask("GET", f"{_path(id_)}/stats", query=query, accept=(200, 404))
            now, before = looks(self._calls.decode(answer, Stats))
        except CloudError as error:
            return error
        with self._lock:
            last = self._looks.get(id_)
            if now is not None:
                self._looks[id_] = now
        means = (percent(since, now, told.host_config) for since in (last, before))
        return next((mean for mean in means if mean is not None), None)

    def _seen(self, listed: Listed) -> Seen:
        return docker_machine.seen(listed, self._group.machine.network)


def _path(id_or_name: str) -> str:
    return f"/containers/{quote(id_or_name, safe='')}"


class _Id(msgspec.Struct, rename="pascal"):
    id: str


class _Config(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None


class _Inspected(msgspec.Struct, rename="pascal"):
    id: str
    name: str
    config: _Config
    host_config: Limits

    @property
    def labels(self) -> Mapping[str, str]:
        return self.config.labels or {}
