"""etcd as the tests need it: clusters, TLS, authentication, and a second pair of eyes.

`Etcdctl` looks at etcd through its own command line, never through the code under test.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import trustme

from secretary.core.settings import EtcdSettings, HostPort
from secretary.devetcd import DevEtcd, Member, binary

TOKEN_TTL_S = 2
ROOT_PASSWORD = "root-password"
WEB_PASSWORD = "web-password"


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands under a key."""

    value: bytes
    lease: int
    create_revision: int
    mod_revision: int


class Etcdctl:
    """etcd's own command line. `user` is a name and a password; `tls` its --cacert and so on."""

    def __init__(
        self, urls: Sequence[str], user: tuple[str, str] | None = None, tls: Sequence[str] = ()
    ) -> None:
        self._urls = list(urls)
        self._user = user
        self._tls = list(tls)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Any:
        """Run a command; return its JSON, or its text where it gives none."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("ETCDCTL_")}
        environ["ETCDCTL_API"] = "3"
        if self._user is not None:
            environ["ETCDCTL_USER"], environ["ETCDCTL_PASSWORD"] = self._user
        done = subprocess.run(
            [
                binary("etcdctl"),
                f"--endpoints={','.join(self._urls)}",
                "--write-out=json",
                "--command-timeout=10s",
                *self._tls,
                *arguments,
            ],
            input=stdin,
            capture_output=True,
            env=environ,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, f"etcdctl {' '.join(arguments)}: {done.stderr.decode()}"
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout.decode()

    def get(self, key: str) -> Seen | None:
        kvs = self("get", key).get("kvs", [])
        if not kvs:
            return None
        kv = kvs[0]
        return Seen(
            base64.b64decode(kv.get("value", "")),
            kv.get("lease", 0),
            kv["create_revision"],
            kv["mod_revision"],
        )

    def put(self, key: str, value: bytes, lease: int = 0) -> None:
        """Write any bytes; what hangs on another lease comes off it."""
        nothing = () if value else ("",)  # an empty stdin is no value to etcdctl
        self("put", f"--lease={lease:x}", key, *nothing, stdin=value)

    def delete(self, key: str) -> None:
        self("del", key)

    def revision(self) -> int:
        return int(self("get", "no such key")["header"]["revision"])

    def compact(self, revision: int) -> None:
        self("compact", str(revision))

    def grant(self, ttl_s: int) -> int:
        return int(self("lease", "grant", str(ttl_s))["ID"])

    def revoke(self, lease: int) -> None:
        self("lease", "revoke", f"{lease:x}")

    def leases(self) -> set[int]:
        return {entry["id"] for entry in self("lease", "list").get("leases") or ()}

    def left_s(self, lease: int) -> int:
        """Seconds until the lease expires; -1 when it is gone."""
        return int(self("lease", "timetolive", f"{lease:x}").get("ttl", 0))

    def status(self) -> dict[str, dict[str, Any]]:
        """What each member says of itself, by URL."""
        return {told["Endpoint"]: told["Status"] for told in self("endpoint", "status")}


def settings_of(etcd: DevEtcd, **more: Any) -> EtcdSettings:
    """Return how a secretary would be told of this cluster."""
    urls = [urlsplit(url) for url in etcd.urls]
    return EtcdSettings(
        endpoints=tuple(HostPort(url.hostname or "", url.port or 0) for url in urls),
        secure=urls[0].scheme == "https",
        **more,
    )


def restart_empty(member: Member) -> None:
    """Let the only member of a cluster forget everything, as if its disk had been replaced."""
    (argument,) = (a for a in psutil.Process(member.pid).cmdline() if a.startswith("--data-dir="))
    member.kill()
    shutil.rmtree(argument.removeprefix("--data-dir="))
    member.start()
    member.wait_ready()


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files: an authority and its certificates of a server, of another host and of a client.

    `other_cacert` and `other_client_*` are of an authority that nobody here knows.
    """

    cacert: str
    server_cert: str
    server_key: str
    elsewhere_cert: str
    elsewhere_key: str
    client_cert: str
    client_key: str
    other_cacert: str
    other_client_cert: str
    other_client_key: str

    @classmethod
    def make(cls, directory: Path) -> "Certificates":
        authority, other = trustme.CA(), trustme.CA()

        def write(name: str, blob: trustme.Blob) -> str:
            path = directory / name
            blob.write_to_path(str(path))
            return str(path)

        def write_both(name: str, leaf: trustme.LeafCert) -> tuple[str, str]:
            certificate = write(f"{name}.pem", leaf.cert_chain_pems[0])
            return certificate, write(f"{name}-key.pem", leaf.private_key_pem)

        return cls(
            write("ca.pem", authority.cert_pem),
            *write_both("server", authority.issue_cert("127.0.0.1", "localhost")),
            *write_both("elsewhere", authority.issue_cert("elsewhere.example")),
            *write_both("client", authority.issue_cert("web")),
            write("other-ca.pem", other.cert_pem),
            *write_both("other-client", other.issue_cert("web")),
        )


@contextmanager
def tls_etcd(certificates: Certificates, *, mutual: bool) -> Iterator[DevEtcd]:
    """One member that speaks TLS; with `mutual`, to those who show a certificate."""
    args = [f"--cert-file={certificates.server_cert}", f"--key-file={certificates.server_key}"]
    if mutual:
        args += ["--client-cert-auth", f"--trusted-ca-file={certificates.cacert}"]
    with DevEtcd(extra_args=args, scheme="https") as etcd:
        yield etcd


@contextmanager
def auth_etcd(prefix: str) -> Iterator[DevEtcd]:
    """One member with authentication; the user `web` may write `<prefix>/web/` and no more.

    Tokens last two seconds. Passwords are hashed at the lowest cost, since tests log in often.
    """
    with DevEtcd(extra_args=[f"--auth-token-ttl={TOKEN_TTL_S}", "--bcrypt-cost=4"]) as etcd:
        enable_auth(Etcdctl(etcd.urls), prefix)
        yield etcd


def enable_auth(etcdctl: Etcdctl, prefix: str) -> None:
    """Make the users and roles of `auth_etcd`, and ask for them from now on."""
    for user, password in (("root", ROOT_PASSWORD), ("web", WEB_PASSWORD)):
        etcdctl("user", "add", "--interactive=false", user, stdin=password.encode())
        etcdctl("role", "add", user)
        etcdctl("user", "grant-role", user, user)
    for kind, keys in (("readwrite", f"{prefix}/web/"), ("read", "/secretary/renderers/")):
        etcdctl("role", "grant-permission", "--prefix", "web", kind, keys)
    etcdctl("auth", "enable")
