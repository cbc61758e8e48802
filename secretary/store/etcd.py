"""The one door to etcd: python-etcd3 with the choice of member, login and deadlines made right.

python-etcd3 supplies messages, stubs and single calls. It marks a failed member unusable for
five minutes, waits for ever on a frozen one and logs in once for ever; so one client stands
for one member here, every call has a deadline, and a call that meets a dead or distrusted
member or an expired token is made again on the next member with a fresh login. Every call is
therefore safe to repeat: writes are transactions guarded by what was seen before.

Refuses to know what the keys mean, and lets no exception of etcd3 or grpc out.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import etcd3
import grpc
from etcd3 import etcdrpc
from etcd3.transactions import BaseCompare
from etcd3.utils import prefix_range_end
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from secretary.core.errors import (
    LeaseLost,
    LoginExpired,
    SettingsError,
    StoreError,
    StoreUnavailable,
    TrustRefused,
)
from secretary.core.settings import EtcdSettings, HostPort
from secretary.store.kv import Committed, Delete, Guard, KeyValue, Listing, ModIs, Operation
from secretary.store.refusal import refusal
from secretary.store.watch import Watch

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 2.0
LEAST_TIMEOUT_S: Final = 0.05
"""What a call still gets when the deadline of the whole program has passed."""

CHANNEL_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    # etcd answers pings more often than every 10 s with GOAWAY too_many_pings.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Without it two clients of one member share a connection, and one's trouble is the other's.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    # http_proxy and its like are meant for other traffic.
    ("grpc.enable_http_proxy", 0),
)


class _Lease(BaseCompare):  # type: ignore[misc]
    """The comparison of a key's lease, which python-etcd3 does not offer."""

    def build_compare(self, compare: Any) -> None:
        compare.target = etcdrpc.Compare.LEASE
        compare.lease = int(self.value)


class Etcd:
    """One connection to a cluster. Not for several threads at once, except `watch`.

    Every call raises StoreUnavailable when no member answers in time, and a
    StoreMisconfigured when the cluster refuses us.
    """

    def __init__(self, settings: EtcdSettings) -> None:
        """SettingsError when a file that `settings` name cannot be read."""
        check_files(settings)
        self._settings = settings
        self._turn = 0
        self._client: Any = None
        self._stale = False
        self._deadline: float | None = None

    @property
    def member(self) -> HostPort:
        """The member that is, or would be, asked next."""
        endpoints = self._settings.endpoints
        return endpoints[self._turn % len(endpoints)]

    def reconfigure(self, settings: EtcdSettings) -> None:
        """From the next call on, use these members and credentials. From any thread."""
        self._settings = settings
        self._stale = True

    def limit(self, deadline: float) -> None:
        """Let no call last beyond `deadline` (of time.monotonic)."""
        self._deadline = deadline

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    # The calls

    def get(self, key: str) -> KeyValue | None:
        answer = self._call(key, lambda client: client.get_response(key))
        return _key_value(answer.kvs[0]) if answer.kvs else None

    def list(self, prefix: str) -> Listing:
        answer = self._call(prefix, lambda client: client.get_prefix_response(prefix))
        return Listing(answer.header.revision, tuple(_key_value(kv) for kv in answer.kvs))

    def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> Committed:
        """Do all `operations` if all `guards` hold, nothing otherwise. LeaseLost as for a put."""
        compare = [_compare(guard) for guard in guards]

        def transaction(client: Any) -> Any:
            success = [_operation(operation) for operation in operations]
            return client.transaction(compare=compare, success=success, failure=[])

        succeeded, responses = self._call(operations[0].key, transaction)
        if not succeeded:
            return Committed(False, 0)
        done = responses[-1]
        header = getattr(done, done.WhichOneof("response")).header
        return Committed(True, int(header.revision))

    def grant(self, ttl_s: int) -> int:
        """Grant a lease and return its id.

        A call that was lost and made again may leave a lease behind; it holds nothing and expires.
        """
        lease: Any = self._call("a lease", lambda client: client.lease(ttl_s))
        return int(lease.id)

    def keep_alive(self, lease: int) -> int:
        """Renew a lease and return the seconds it now lasts. LeaseLost when it is gone."""
        answers = self._call("a lease", lambda client: list(client.refresh_lease(lease)))
        if not answers or answers[0].TTL <= 0:
            raise LeaseLost(f"lease {lease:x} has expired or was revoked")
        return int(answers[0].TTL)

    def revoke(self, lease: int) -> None:
        """End a lease and delete every key under it. LeaseLost when it is gone already."""
        self._call("a lease", lambda client: client.revoke_lease(lease))

    def watch(self, prefix: str, revision: int) -> Watch:
        """Open a watch of all changes under `prefix` from `revision` on.

        It has a connection of its own, so that ending it disturbs no call. Raises as `Watch` does.
        """
        request = etcdrpc.WatchCreateRequest(
            key=prefix.encode(),
            range_end=prefix_range_end(prefix.encode()),
            start_revision=revision,
        )

        def open_watch() -> Watch:
            client = self._connect()
            # A member cut off from its leader would otherwise keep the watch open, in silence.
            metadata = (*(client.metadata or ()), ("hasleader", "true"))
            return Watch(
                call=lambda requests: etcdrpc.WatchStub(client.channel).Watch(
                    requests, metadata=metadata
                ),
                create=etcdrpc.WatchRequest(create_request=request),
                progress=etcdrpc.WatchRequest(progress_request=etcdrpc.WatchProgressRequest()),
                translate=lambda error: self._translate(error, prefix),
                close=client.close,
            )

        return self._persist(prefix, open_watch)

    def next_member(self) -> None:
        """Ask another member from now on."""
        self.close()
        self._turn += 1

    # How a call is made

    def _call(self, subject: str, ask: Callable[[Any], T]) -> T:
        def once() -> T:
            if self._stale:
                self._stale = False
                self.close()
            if self._client is None:
                self._client = self._connect()
            self._client.timeout = self._timeout_s()
            return ask(self._client)

        return self._persist(subject, once)

    def _persist(self, subject: str, act: Callable[[], T]) -> T:
        """Do `act`, on one member after the other, until it succeeds or each has had its turn."""
        for attempt in Retrying(
            stop=stop_after_attempt(max(2, len(self._settings.endpoints))),
            retry=retry_if_exception_type((StoreUnavailable, LoginExpired, TrustRefused)),
            reraise=True,
        ):
            with attempt:
                try:
                    return act()
                except (StoreError, grpc.RpcError, etcd3.Etcd3Exception, ValueError) as error:
                    refused = self._translate(error, subject)
                    if isinstance(refused, StoreUnavailable | TrustRefused):
                        self.next_member()
                    elif isinstance(refused, LoginExpired):
                        self.close()
                    raise refused from error
        raise AssertionError("Retrying returns or raises")

    def _translate(self, error: Exception, subject: str) -> StoreError:
        if isinstance(error, StoreError):
            return error
        # python-etcd3 replaces some errors by its own, without the reason.
        cause = error if isinstance(error, grpc.RpcError) else error.__context__
        if not isinstance(cause, grpc.Call):
            return StoreUnavailable(f"etcd {self.member}: {error!r}")
        return refusal(
            cause.code().name, cause.details() or "", self._settings, self.member, subject
        )

    def _timeout_s(self) -> float:
        if self._deadline is None:
            return CALL_TIMEOUT_S
        return min(CALL_TIMEOUT_S, max(LEAST_TIMEOUT_S, self._deadline - time.monotonic()))

    def _connect(self) -> Any:
        """Make a client of the member whose turn it is, logged in."""
        member, settings = self.member, self._settings
        host = f"[{member.host}]" if ":" in member.host else member.host
        endpoint = etcd3.Endpoint(
            host,
            member.port,
            secure=settings.secure,
            creds=_channel_credentials(settings),
            # Its own memory of failures would lock the only member out: here it forgets at once.
            time_retry=float("-inf"),
            opts=CHANNEL_OPTIONS,
        )
        client = etcd3.MultiEndpointEtcd3Client([endpoint], timeout=self._timeout_s())
        try:
            client.metadata = self._log_in(client)
        except BaseException:
            client.close()
            raise
        return client

    def _log_in(self, client: Any) -> tuple[tuple[str, str], ...] | None:
        """Return the metadata that carries a fresh token; None without a user.

        python-etcd3 would log in itself, but refuses over plaintext and does so only once.
        """
        settings = self._settings
        if settings.user is None or settings.password_file is None:
            return None
        password = _read("--etcd-password-file", settings.password_file).rstrip(b"\r\n")
        request = etcdrpc.AuthenticateRequest(
            name=settings.user, password=password.decode(errors="replace")
        )
        try:
            answer = client.authstub.Authenticate(request, client.timeout)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:  # authentication is off
                return None
            raise
        return (("token", answer.token),)


def check_files(settings: EtcdSettings) -> None:
    """Raise SettingsError when a file that opens etcd cannot be read.

    Once it could be, one that goes missing is waited for: somebody is replacing it.
    """
    for option, path in (
        ("--etcd-password-file", settings.password_file),
        ("--etcd-cacert", settings.cacert),
        ("--etcd-cert", settings.cert),
        ("--etcd-key", settings.key),
    ):
        if path is not None:
            _read(option, path)


def _channel_credentials(settings: EtcdSettings) -> grpc.ChannelCredentials | None:
    if not settings.secure:
        return None
    return grpc.ssl_channel_credentials(
        root_certificates=settings.cacert and _read("--etcd-cacert", settings.cacert),
        private_key=settings.key and _read("--etcd-key", settings.key),
        certificate_chain=settings.cert and _read("--etcd-cert", settings.cert),
    )


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{option}: {path}: {error.strerror}; a readable file") from error


def _key_value(kv: Any) -> KeyValue:
    return KeyValue(
        kv.key.decode(errors="backslashreplace"),
        kv.value,
        kv.lease,
        kv.create_revision,
        kv.mod_revision,
    )


def _compare(guard: Guard) -> BaseCompare:
    if isinstance(guard, ModIs):
        return etcd3.transactions.Mod(guard.key) == guard.revision
    return _Lease(guard.key) == guard.lease


def _operation(operation: Operation) -> Any:
    if isinstance(operation, Delete):
        return etcd3.transactions.Delete(operation.key)
    return etcd3.transactions.Put(operation.key, operation.value, operation.lease)
