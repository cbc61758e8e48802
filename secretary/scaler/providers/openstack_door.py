"""OpenStack's one door: openstacksdk says who asks and where, its keystoneauth logs in and sends.

Nothing is repeated. The library's own resources are left alone, for they take whatever an answer
holds: here an answer is its status and its bytes. What it and the layers below raise leaves as a
CloudError of one line.
"""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

import requests
from keystoneauth1 import exceptions as refusals
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import Session

from secretary.core.errors import CloudAway, CloudBusy, CloudError, CloudRefused, SettingsError
from secretary.scaler.providers import bounded, reasons
from secretary.scaler.providers.openstack_answers import Answer, Version
from secretary.scaler.providers.openstack_login import Login

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 5.0
"""Where a cloud that is busy does not say for how long."""
_SECRETS: Final = ("password", "secret", "token", "passcode")
"""What the names of options end with that must not be repeated."""
_TOKEN: Final = "X-Auth-Token"  # noqa: S105 - the name of a header


class _Rejected(CloudRefused):
    """The user, or the token, and not what was asked."""


@dataclass(frozen=True, slots=True)
class _Open:
    services: Mapping[str, Adapter]
    session: requests.Session
    password: str | None = field(repr=False)
    at: str

    def url(self, service: str, path: str) -> str:
        """Return where that is; Nova finds the version that it speaks by itself."""
        if service == "compute":
            return path
        endpoint = self.services[service].get_endpoint()
        if endpoint is None:
            raise refusals.EndpointNotFound
        # The catalogue has these with their version or without, and older ones tell no others.
        version = f"/{path.split('/')[1]}"
        return str(endpoint).rstrip("/").removesuffix(version) + path


class Door:
    """One login, kept as long as it is good. May be used from several threads."""

    def __init__(
        self,
        login: Login,
        timeout_s: float = TIMEOUT_S,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """SettingsError."""
        self._login = login
        self._timeout_s = timeout_s
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._secrets: list[str] = []
        for name in ("keystoneauth", "openstack"):
            # They tell whole requests and answers, with what a machine is given at its start.
            logging.getLogger(name).setLevel(logging.ERROR)
        opened = self._opened()
        self._open: _Open | None = opened
        self.at = opened.at

    def ask(
        self,
        method: str,
        path: str,
        *,
        service: str = "compute",
        version: Version | None = None,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        accept: Collection[int] = (),
        timeout_s: float | None = None,
    ) -> Answer:
        """Return an answer whose status is below 300 or one that is accepted. CloudError.

        When the user is rejected and there is another password in the file now, it is asked again:
        it was not carried out.
        """

        def send(opened: _Open) -> Answer:
            how = {} if version is None else {"microversion": f"{version[0]}.{version[1]}"}
            asked = f"OpenStack at {self.at}: {method} {service} {path.partition('?')[0]}"
            with self._translated(asked):
                response = opened.services[service].request(
                    opened.url(service, path),
                    method,
                    json=json,
                    params=params,
                    redirect=False,
                    timeout=self._timeout_s if timeout_s is None else timeout_s,
                    **how,
                )
            if response.status_code >= 300 and response.status_code not in accept:
                self._refuse(asked, response)
            return Answer(asked, response.status_code, response.content).checked()

        return self._with_login(send)

    def within(self, timeout_s: float) -> "Asking":
        """Begin an operation of one or more questions that have so long together."""
        return Asking(self, time.monotonic() + timeout_s)

    def newest(self) -> Version:
        """Return the newest microversion that Nova speaks. CloudError."""

        def discover(opened: _Open) -> Version:
            asked = f"OpenStack at {self.at}: versions of compute"
            with self._translated(asked):
                told = opened.services["compute"].get_endpoint_data()
            if told is None or told.max_microversion is None:
                # The library takes it so when that question is not answered.
                raise CloudAway(f"{asked}: not told; it is away, or older than 2.1")
            major, minor = told.max_microversion
            return int(major), int(minor)

        return self._with_login(discover)

    def close(self) -> None:
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            opened.session.close()

    def _with_login(self, send: Callable[[_Open], T]) -> T:
        opened = self._entered()
        try:
            self._log_in(opened)
            return send(opened)
        except _Rejected as rejected:
            self._leave(opened)
            try:
                is_renewed = self._login.password() not in (None, opened.password)
            except SettingsError:
                is_renewed = False
            if not is_renewed:
                raise rejected from rejected.__cause__
        opened = self._entered()
        self._log_in(opened)
        return send(opened)

    def _log_in(self, opened: _Open) -> None:
        """Do what would be done with the next question anyway, and know what fails."""
        with self._translated(f"OpenStack at {self.at}: login"):
            opened.services["compute"].get_token()

    def _entered(self) -> _Open:
        with self._lock:
            if self._open is None:
                try:
                    self._open = self._opened()
                except SettingsError as error:
                    raise CloudRefused(str(error)) from error
            return self._open

    def _leave(self, opened: _Open) -> None:
        """Log in anew the next time."""
        with self._lock:
            if self._open is not opened:
                return
        self.close()

    def _opened(self) -> _Open:
        session = bounded.session()
        session.auth = _as_it_is
        cloud = self._login.cloud(functools.partial(Session, session=session), self._timeout_s)
        login = cloud.config["auth"]
        self._secrets = [str(v) for k, v in login.items() if k.endswith(_SECRETS) and v]
        services = {name: _service(cloud, name) for name in ("compute", "image", "network")}
        return _Open(services, session, login.get("password"), str(login["auth_url"]))

    @contextlib.contextmanager
    def _translated(self, asked: str) -> Iterator[None]:
        """Make a CloudError of what comes instead of an answer."""
        try:
            yield
        except CloudError:
            raise
        except refusals.HttpError as error:  # what the login was answered, or a list of versions
            if error.response is not None:
                self._refuse(asked, error.response, error)
            self._refused(asked, error.http_status, "", {}, error)
        except refusals.EndpointNotFound as error:
            raise CloudRefused(
                f"{asked}: the catalogue has no such service; see OS_REGION_NAME, OS_INTERFACE or"
                " the group's region"
            ) from error
        except refusals.AuthPluginException as error:
            raise CloudRefused(f"{asked}: {reasons.one_line(str(error))}") from error
        except Exception as error:
            self._not_answered(asked, error)

    def _refuse(
        self, asked: str, response: requests.Response, cause: Exception | None = None
    ) -> NoReturn:
        told = reasons.told(response.content, (*self._secrets, *_tokens(response)))
        self._refused(asked, response.status_code, told, response.headers, cause)

    def _refused(
        self,
        asked: str,
        status: int,
        told: str,
        headers: Mapping[str, str],
        cause: Exception | None,
    ) -> NoReturn:
        said = f"{asked} is answered by {status}: {told or 'nothing'}"
        if status in (413, 429):
            pause_s = reasons.pause_s(headers.get("Retry-After", ""), self._wall_clock(), _PAUSE_S)
            message = f"{said}; asked too often, again in {pause_s:.0f} s"
            raise CloudBusy(message, pause_s) from cause
        if status == 401:
            message = f"{said}; the user, password or token is rejected: see OS_PASSWORD_FILE,"
            raise _Rejected(f"{message} OS_PASSWORD or clouds.yaml") from cause
        if status == 403:
            is_quota = "quota" in told.lower()
            next_step = "have it raised" if is_quota else "the user's roles do not allow it"
            raise CloudRefused(f"{said}; {next_step}") from cause
        if 300 <= status < 400:
            raise CloudRefused(f"{said}; it leads elsewhere, and is not followed") from cause
        if status == 408 or not 400 <= status < 500:
            raise CloudAway(said) from cause
        raise CloudRefused(said) from cause

    def _not_answered(self, asked: str, error: Exception) -> NoReturn:
        causes = list(reasons.causes(error))
        if (why := reasons.distrust(causes)) is not None:
            raise CloudRefused(f"{asked}: TLS fails: {why}; see OS_CACERT") from error
        for cause in causes:
            if isinstance(cause, refusals.HttpError) and cause.response is not None:
                self._refuse(asked, cause.response, error)
        unknown = f"the connection broke off, or the answer cannot be read ({type(error).__name__})"
        raise CloudAway(f"{asked} is not answered: {reasons.why(causes, unknown)}") from error


class Asking:
    """One operation: its questions share the time. A login that is needed has its own."""

    def __init__(self, door: Door, end: float) -> None:
        self._door = door
        self._end = end
        self.at = door.at

    def ask(self, method: str, path: str, **how: Any) -> Answer:
        """Ask as the door does. CloudAway, too, when there is no time left."""
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise CloudAway(f"OpenStack at {self.at}: {method} {path}: no time was left for it")
        return self._door.ask(method, path, **how, timeout_s=left_s)


def _service(cloud: Any, name: str) -> Adapter:
    is_compute = name == "compute"
    return Adapter(
        session=cloud.get_session(),
        service_type=cloud.get_service_type(name),
        service_name=cloud.get_service_name(name),
        interface=cloud.get_interface(name),
        region_name=cloud.get_region_name(name),
        endpoint_override=cloud.get_endpoint(name),
        connect_retries=0,
        status_code_retries=0,
        raise_exc=False,
        min_version="2.1" if is_compute else None,
        max_version="2.latest" if is_compute else None,
    )


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign nothing, so that nothing out of a netrc is sent either."""
    return request


def _tokens(response: requests.Response) -> list[str]:
    sent: str | bytes = response.request.headers.get(_TOKEN, "")
    token = sent.decode() if isinstance(sent, bytes) else sent
    return [token] if token else []
