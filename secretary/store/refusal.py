"""What an error status of etcd means, in one line that names the cause and the next step.

Pure: takes gRPC's status and etcd's words, returns the error to raise.
"""

from secretary.core.errors import (
    AccessDenied,
    CredentialsRefused,
    LeaseLost,
    LoginExpired,
    StoreError,
    StoreFull,
    StoreUnavailable,
    TrustRefused,
)
from secretary.core.settings import EtcdSettings, HostPort


def refusal(
    code: str, details: str, settings: EtcdSettings, member: HostPort, subject: str
) -> StoreError:
    """Return the error for a call about `subject` that `member` ended with `code`."""
    where, words = f"etcd {member}", details.lower()
    user = settings.user or "without a user"
    match code:
        case "UNAVAILABLE" if (distrust := _distrust(words, settings)) is not None:
            return TrustRefused(f"{where}: {distrust}")
        case "UNAUTHENTICATED":
            return LoginExpired(f"{where}: the login of {user} is no longer valid")
        case "PERMISSION_DENIED":
            return AccessDenied(
                f"{where}: permission denied: {user} may not read and write {subject};"
                " grant the role readwrite on it"
            )
        case "INVALID_ARGUMENT" if "authentication failed" in words:
            return CredentialsRefused(
                f"{where}: wrong user or password:"
                f" check --etcd-user {user} and --etcd-password-file {settings.password_file}"
            )
        case "INVALID_ARGUMENT" if "user name is empty" in words and settings.user:
            return LoginExpired(f"{where}: asks for a login since we connected")
        case "INVALID_ARGUMENT" if "user name is empty" in words:
            return CredentialsRefused(
                f"{where}: a user is required: give --etcd-user and --etcd-password-file"
            )
        case "INVALID_ARGUMENT" if "auth store is old" in words:
            return LoginExpired(f"{where}: users or roles have changed since the login")
        case "RESOURCE_EXHAUSTED":
            return StoreFull(f"{where}: takes no writes: {_reason(code, details)}")
        case "NOT_FOUND" if "lease not found" in words:
            return LeaseLost(f"{where}: the lease has expired or was revoked")
        case _:
            return StoreUnavailable(f"{where}: {_reason(code, details)}")


def _distrust(words: str, settings: EtcdSettings) -> str | None:
    """Say why a TLS handshake failed; None when it is not about TLS."""
    if "certificate_verify_failed" in words:
        trusted = settings.cacert or "the public authorities; give --etcd-cacert"
        return f"TLS: its certificate is not signed by --etcd-cacert ({trusted})"
    if "peer name" in words or "hostname verification" in words:
        return "TLS: its certificate does not name this host; use a name that it holds in --etcd"
    if "certificate_required" in words or "bad_certificate" in words or "unknown_ca" in words:
        return "TLS: it does not accept our certificate: check --etcd-cert and --etcd-key"
    if "create security handshaker" in words:
        cacert, cert, key = settings.cacert, settings.cert, settings.key
        return (
            "TLS: a file is not PEM, or they do not go together:"
            f" --etcd-cacert {cacert}, --etcd-cert {cert}, --etcd-key {key}"
        )
    if "handshake failed" in words or "handshake read failed" in words:
        return "TLS: the handshake failed; perhaps it does not speak https"
    return None


def _reason(code: str, details: str) -> str:
    if code == "DEADLINE_EXCEEDED":
        return "no answer in time"
    if "onnection refused" in details:
        return "connection refused"
    if "failed to connect" in details and details.endswith("Socket closed"):
        return "closes the connection at once; does --etcd say http where it speaks https?"
    lines = details.splitlines() or [code.lower().replace("_", " ")]
    return lines[0][:200]
