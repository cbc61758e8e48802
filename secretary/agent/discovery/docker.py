"""Docker's one door here: it asks for containers and events, and changes nothing.

The library gives the transport (socket, TCP, TLS) and is imported when a door is made. What it
and the layers below raise leaves as a DockerError of one line.
"""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from secretary.agent.discovery import inspected
from secretary.agent.discovery.docker_events import ACTIONS, TYPES, Events, socket_of
from secretary.agent.discovery.docker_trust import Trust, reason
from secretary.agent.discovery.inspected import Inspected
from secretary.core.errors import DockerAway, DockerError, DockerRefused
from secretary.core.values import printable

CALL_TIMEOUT_S: Final = 5.0
_SOCKET: Final = "unix:///var/run/docker.sock"
_GATEWAY: Final = (502, 503, 504)
"""What a proxy says when the daemon behind it does not answer."""
_MOST_OF_AN_ANSWER: Final = 200
_FILTER: Final = json.dumps({"type": TYPES, "event": ACTIONS})


class Docker:
    """Asks only: version, list, inspect, events. All may be called from any thread.

    `environ` is where DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH are read from. With
    either of the last two TCP is TLS, and the daemon's certificate is verified. Raises
    DockerRefused when they do not fit; an absent daemon is found out by the first call.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        try:
            import docker
        except ImportError as error:
            raise DockerRefused(
                "Docker needs the extra [docker]: pip install 'secretary[docker]'"
            ) from error
        self._library = docker
        url = environ.get("DOCKER_HOST") or _SOCKET
        try:
            parts = urlsplit(docker.utils.parse_host(url))
            is_local = parts.scheme == "http+unix"
            if parts.netloc if is_local else parts.scheme not in ("http", "https"):
                raise ValueError("neither a local path nor TCP")
            self.at = f"unix://{parts.path}" if is_local else f"tcp://{_joined(parts)}"
        except (ValueError, docker.errors.DockerException) as error:
            raise DockerRefused(
                "DOCKER_HOST is to be unix:///path or tcp://host:port, without credentials"
            ) from error
        self._path = parts.path if is_local else None
        self._address = (parts.hostname or "", parts.port or 0)
        is_verified = environ.get("DOCKER_TLS_VERIFY") or environ.get("DOCKER_CERT_PATH")
        is_secure = not is_local and (is_verified or parts.scheme == "https")
        self._trust = Trust(environ) if is_secure else None
        self._lock = threading.Lock()
        self._being_read: set[socket.socket] = set()
        self._client: Any = None
        self._base = ""

    def containers(self) -> list[str]:
        """Return the ids of all that run, the paused ones among them."""
        answer = self._ask("/containers/json")
        try:
            return [each.id for each in msgspec.json.decode(answer, type=list[_Listed])]
        except ValueError as error:
            raise DockerError(f"Docker at {self.at}: GET /containers/json: {error}") from error

    def inspect(self, ref: str) -> Inspected | None:
        """Return the container of this id, beginning of an id, or name; None when there is none.

        A DockerError that is no DockerAway or DockerRefused concerns this container alone.
        """
        found = self._inspect(ref)
        if found is None or found.network_of is None:
            return found
        return found.joined(self._inspect(found.network_of))

    def events(self) -> Events:
        """Return what happens from now on. DockerAway when it cannot be told."""
        response = self._get("/events", params={"filters": _FILTER}, stream=True)
        if response.status_code != 200:
            with response:
                raise self._anew("/events", response)
        return Events(response, self.at, self._ended)

    def ping(self) -> None:
        """Ask for the version: a DockerError when Docker does not tell."""
        with self._lock:
            self._connect()

    def abort(self) -> None:
        """End the answers that are being read, as if they had broken off."""
        for reading in list(self._being_read):
            with contextlib.suppress(OSError):
                # Not SSLSocket's own, which takes TLS away below whoever reads.
                socket.socket.shutdown(reading, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connections; a stream of events must be closed by itself."""
        with self._lock:
            self._disconnect()

    def _inspect(self, ref: str) -> Inspected | None:
        path = f"/containers/{quote(ref, safe='')}/json"
        with self._get(path) as response:
            if response.status_code == 404:
                return None
            if response.status_code != 200:
                raise self._answered(path, response, is_one=True)
            try:
                return inspected.decode(response.content)
            except ValueError as error:
                name = _name(response.content) or ref
                told = printable(f"{name}: what Docker tells of it cannot be read: {error}")
                raise DockerError(f"container {told}") from error

    def _ask(self, path: str) -> bytes:
        with self._get(path) as response:
            if response.status_code != 200:
                raise self._anew(path, response)
            return bytes(response.content)

    def _get(self, path: str, **how: Any) -> Any:
        with self._lock:
            if self._client is None:
                self._connect()
            client, base = self._client, self._base
        try:
            return self._send(client, f"{base}{path}", **how)
        except DockerAway:
            self.close()  # the next call begins anew: it may be another daemon, or another version
            raise

    def _send(self, client: Any, url: str, **how: Any) -> Any:
        is_stream = how.pop("stream", False)
        try:
            response = client.get(
                url, timeout=CALL_TIMEOUT_S, allow_redirects=False, stream=True, **how
            )
            if not is_stream:
                self._read(response)
            return response
        except Exception as error:
            failure = self._failure(error)
            raise failure from error

    def _read(self, response: Any) -> None:
        """Read the whole answer, in a way that `abort` can end: the timeout is of each piece."""
        if (reading := socket_of(response)) is None:
            return  # there is nothing to read
        self._being_read.add(reading)
        try:
            _ = response.content  # which the library keeps
        finally:
            self._being_read.discard(reading)

    def _connect(self) -> None:
        """Make the client anew, and ask which version of the API the daemon speaks."""
        self._disconnect()
        library, trust = self._library, self._trust
        self._knock()
        try:
            tls: Any = False
            if trust is not None:
                tls = library.tls.TLSConfig(
                    client_cert=(trust.certificate, trust.key),
                    ca_cert=trust.authority,
                    verify=True,
                )
            client = library.APIClient(
                self.at,
                # Any will do: with one given the library asks nothing while it is made.
                version=library.constants.DEFAULT_DOCKER_API_VERSION,
                timeout=CALL_TIMEOUT_S,
                tls=tls,
            )
        except (library.errors.DockerException, OSError) as error:
            raise DockerRefused(f"Docker at {self.at}: {error}") from error
        # Variables for the web (proxies, REQUESTS_CA_BUNDLE) would win over DOCKER_CERT_PATH.
        client.trust_env = False
        try:
            with self._send(client, f"{client.base_url}/version") as response:
                if response.status_code != 200:
                    raise self._answered("/version", response)
                version = msgspec.json.decode(response.content, type=_Version)
        except ValueError as error:
            client.close()
            raise DockerAway(f"Docker at {self.at}: GET /version: {error}") from error
        except DockerError as error:
            client.close()
            if trust is None or not isinstance(error, DockerAway):
                raise
            if (why := trust.objection(*self._address)) is None:
                raise
            raise self._distrusted(why) from error
        self._client, self._base = client, f"{client.base_url}/v{version.api}"

    def _knock(self) -> None:
        """Try a local socket ourselves: the library forgets to close one that nobody answers."""
        if self._path is not None:
            try:
                with socket.socket(socket.AF_UNIX) as knocking:
                    knocking.settimeout(CALL_TIMEOUT_S)
                    knocking.connect(self._path)
            except OSError as error:
                failure = self._failure(error)
                raise failure from error

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _anew(self, path: str, response: Any) -> DockerError:
        """Agree on a version anew, which this daemon may not speak, and return what it said."""
        self.close()
        return self._answered(path, response)

    def _answered(self, path: str, response: Any, *, is_one: bool = False) -> DockerError:
        """Return what an answer other than 200 means; `is_one` for what concerns a container."""
        status = response.status_code
        asked = f"Docker at {self.at}: GET {path}"
        if status in (401, 403):
            return DockerRefused(f"{asked} is refused ({status}): the socket proxy must allow it")
        told = printable(response.text.strip())[:_MOST_OF_AN_ANSWER]
        message = f"{asked} is answered by {status}: {told}"
        if status in _GATEWAY or (status >= 500 and not is_one):
            return DockerAway(message)
        return DockerError(message) if is_one else DockerRefused(message)

    def _ended(self) -> DockerError:
        """Return what it means that a stream of events has ended, in whatever way."""
        self.close()
        return DockerAway(f"Docker at {self.at} does not answer: it ended the events")

    def _failure(self, error: Exception) -> DockerError:
        """Return what it means that no answer came."""
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, PermissionError):
                return DockerRefused(
                    f"Docker at {self.at}: this user may not open it; add it to the group docker,"
                    " or set DOCKER_HOST to a filtering proxy"
                )
            if isinstance(cause, ssl.SSLError) and (why := reason(cause)) is not None:
                return self._distrusted(why)
        return DockerAway(f"Docker at {self.at} does not answer: {_why(causes)}")

    def _distrusted(self, why: str) -> DockerRefused:
        return DockerRefused(f"Docker at {self.at}: TLS fails: {why}; see DOCKER_CERT_PATH")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield it and all that led to it: the layers keep that in several places."""
    to_do, seen = [error], set()
    while to_do:
        cause = to_do.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        behind = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        to_do += [each for each in behind if isinstance(each, BaseException)]


def _why(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, FileNotFoundError):
            return "there is no such socket"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return f"nothing came within {CALL_TIMEOUT_S:g} s"
    last = causes[-1]
    strerror = last.strerror if isinstance(last, OSError) else None
    return printable(strerror or str(last) or type(last).__name__)[:_MOST_OF_AN_ANSWER]


def _joined(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}"


def _name(answer: bytes) -> str:
    """Return the container's name from an answer that is amiss elsewhere."""
    with contextlib.suppress(ValueError):
        return msgspec.json.decode(answer, type=_Named).name.removeprefix("/")
    return ""


class _Named(msgspec.Struct):
    name: str = msgspec.field(name="Name")


class _Listed(msgspec.Struct):
    id: str = msgspec.field(name="Id")


class _Version(msgspec.Struct):
    api: str = msgspec.field(name="ApiVersion")
