"""Logins, roles and certificates: what is right works on, what is wrong is one clear line."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from secretary.devetcd import DevEtcd
from tests import etcd_bed
from tests.apps import App
from tests.etcd_bed import ROOT_PASSWORD, TOKEN_TTL_S, WEB_PASSWORD, Certificates, Etcdctl
from tests.secretaries import IP, Secretary, run
from tests.waiting import stays, wait_for

PREFIX = "/access"
ROOT = ("root", ROOT_PASSWORD)


@pytest.fixture(scope="module")
def guarded() -> Iterator[DevEtcd]:
    """etcd with authentication, where `web` may write its own service under PREFIX."""
    with etcd_bed.auth_etcd(PREFIX) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> Iterator[DevEtcd]:
    with etcd_bed.tls_etcd(certificates, mutual=False) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def mtls(certificates: Certificates) -> Iterator[DevEtcd]:
    with etcd_bed.tls_etcd(certificates, mutual=True) as etcd:
        yield etcd


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """The file that holds the password of `web`."""
    file = tmp_path / "password"
    file.write_text(WEB_PASSWORD + "\n")
    return file


@pytest.fixture
def key() -> str:
    return f"{PREFIX}/web/{IP}"


def as_web(password: Path, user: str = "web") -> tuple[str, ...]:
    return ("--etcd-user", user, "--etcd-password-file", str(password))


def check(port: int, url: str, *more: str, prefix: str = PREFIX) -> str:
    """Run `secretary check` where it must fail; return its line about etcd."""
    told = run(
        *("check", "--name", "web", "--ip", IP, "--port", str(port), "--prefix", prefix),
        *("--probe", f"http://{IP}:{port}/healthz", "--etcd", url, *more),
    )
    assert (told.returncode, told.stderr) == (1, "")
    assert "Traceback" not in told.stdout
    (line,) = (line for line in told.stdout.splitlines() if line.startswith("FAIL"))
    return line


def is_refused(url: str, *more: str, words: Sequence[str]) -> None:
    """Hold that `run` says one line with `words`, stays alive, and `check` says the same."""
    with App() as app:
        with Secretary.beside(app.port, [url], PREFIX, *more, "--drain-timeout", "0s") as secretary:
            wait_for(lambda: secretary.errors() > 2, timeout_s=20)
            (line,) = secretary.complaints
            print(line)  # noqa: T201 - so that it can be read as its readers will
            for word in words:
                assert word in line
            assert "Traceback" not in secretary.log
            assert secretary.page("/livez")[0] == 200
            assert secretary.page("/readyz")[0] == 503
            assert str(secretary.status()["last_error"]) in line
            assert secretary.stop() == 0
        line = check(app.port, url, *more)
        print(line)  # noqa: T201
        for word in words:
            assert word in line


def is_wrong(url: str, *more: str, words: str) -> None:
    """Hold that `run` and `check` refuse such settings in one line, with 2."""
    for verb in ("run", "check"):
        told = run(verb, "--name", "web", "--port", "1", "--etcd", url, "--status", "off", *more)
        assert told.returncode == 2
        assert told.stderr.splitlines()[-1].startswith(f"secretary: {words}")


# Logins


def test_a_login_outlives_its_tokens(guarded: DevEtcd, password: Path, key: str) -> None:
    """Tokens last 2 s unused; a lease of 10 s lets each expire before the next is needed."""
    etcdctl = Etcdctl(guarded.urls, user=ROOT)
    with (
        App() as app,
        Secretary.beside(app.port, guarded.urls, PREFIX, *as_web(password)) as secretary,
    ):
        before = wait_for(lambda: etcdctl.get(key))
        for _ in range(3):
            # Renewed, and then left alone for longer than a token lives.
            wait_for(lambda: etcdctl.left_s(before.lease) >= 9)
            wait_for(lambda: etcdctl.left_s(before.lease) < 10 - 1 - TOKEN_TTL_S)
        assert etcdctl.get(key) == before
        assert secretary.stop() == 0
        assert etcdctl.get(key) is None
        assert before.lease not in etcdctl.leases()
        assert secretary.complaints == []
        assert secretary.log.count("registered service") == 1


def test_a_wrong_password(guarded: DevEtcd, password: Path) -> None:
    password.write_text("guess")
    is_refused(
        guarded.urls[0],
        *as_web(password),
        words=["wrong user or password", "--etcd-user web", f"--etcd-password-file {password}"],
    )


def test_an_unknown_user(guarded: DevEtcd, password: Path) -> None:
    is_refused(
        guarded.urls[0],
        *as_web(password, "nobody"),
        words=["wrong user or password", "--etcd-user nobody"],
    )


def test_no_user_where_one_is_needed(guarded: DevEtcd) -> None:
    is_refused(
        guarded.urls[0],
        words=["a user is required", "--etcd-user and --etcd-password-file"],
    )


def test_a_password_file_may_go_missing_while_it_runs(
    guarded: DevEtcd, password: Path, key: str
) -> None:
    words = f"--etcd-password-file: {password}: No such file or directory"
    etcdctl = Etcdctl(guarded.urls, user=ROOT)
    with (
        App() as app,
        Secretary.beside(app.port, guarded.urls, PREFIX, *as_web(password), ttl="10s") as secretary,
    ):
        wait_for(lambda: etcdctl.get(key))
        password.unlink()
        secretary.says(words)  # its token runs out between two keep-alives
        password.write_text(WEB_PASSWORD)
        secretary.says("etcd answers again")
        wait_for(lambda: etcdctl.get(key))
        assert len(secretary.complaints) == 1
        assert secretary.stop() == 0


def test_a_password_may_change_while_it_runs(guarded: DevEtcd, password: Path, key: str) -> None:
    etcdctl = Etcdctl(guarded.urls, user=ROOT)
    changed = "changed-password"

    def change(to: str) -> None:
        etcdctl("user", "passwd", "--interactive=false", "web", stdin=to.encode())

    with (
        App() as app,
        Secretary.beside(app.port, guarded.urls, PREFIX, *as_web(password), ttl="4s") as secretary,
    ):
        wait_for(lambda: etcdctl.get(key))
        try:
            change(changed)
            secretary.says("wrong user or password")
            password.write_text(changed)
            secretary.says("etcd answers again")
            wait_for(lambda: etcdctl.get(key))
            assert len(secretary.complaints) == 1
            assert changed not in secretary.log
        finally:
            change(WEB_PASSWORD)


def test_authentication_may_be_switched_on_while_it_runs(
    own_etcd: DevEtcd, password: Path, key: str
) -> None:
    """With a user it logs in, without one it says what is missing; both records stay."""
    etcdctl = Etcdctl(own_etcd.urls)
    with (
        App() as app,
        Secretary.beside(app.port, own_etcd.urls, PREFIX, *as_web(password), ttl="3s") as known,
        Secretary.beside(app.port, own_etcd.urls, "/other", ttl="3s") as unknown,
    ):
        keys = (key, f"/other/web/{IP}")
        before = [wait_for(lambda k=k: etcdctl.get(k)) for k in keys]  # type: ignore[misc]
        etcd_bed.enable_auth(etcdctl, PREFIX)
        etcdctl = Etcdctl(own_etcd.urls, user=ROOT)
        unknown.says("a user is required: give --etcd-user and --etcd-password-file")
        stays(lambda: [etcdctl.get(k) for k in keys] == before, for_s=4.5)
        assert known.complaints == []
        assert len(unknown.complaints) == 1
        assert known.stop() == 0
        assert etcdctl.get(key) is None


# Roles


def test_a_role_for_its_own_service_is_enough(guarded: DevEtcd, password: Path, key: str) -> None:
    etcdctl = Etcdctl(guarded.urls, user=ROOT)
    with App() as app:
        told = run(
            *("check", "--name", "web", "--ip", IP, "--port", str(app.port), "--prefix", PREFIX),
            *("--probe", app.url, "--etcd", guarded.urls[0], *as_web(password)),
        )
        assert (told.returncode, told.stderr) == (0, ""), told.stdout
        with Secretary.beside(app.port, guarded.urls, PREFIX, *as_web(password)) as secretary:
            lease = wait_for(lambda: etcdctl.get(key)).lease
            assert secretary.stop() == 0
            assert etcdctl.get(key) is None
            assert lease not in etcdctl.leases()
            assert secretary.complaints == []


def test_a_missing_permission_is_said_once_and_waited_for(
    guarded: DevEtcd, password: Path, prefix: str
) -> None:
    etcdctl = Etcdctl(guarded.urls, user=ROOT)
    key = f"{prefix}/web/{IP}"
    words = f"permission denied: web may not read and write {key}"

    def allow(verb: str) -> None:
        kind = ("readwrite",) if verb == "grant" else ()
        etcdctl("role", f"{verb}-permission", "--prefix", "web", *kind, f"{prefix}/web/")

    with App() as app:
        line = check(app.port, guarded.urls[0], *as_web(password), prefix=prefix)
        assert words in line
        with Secretary.beside(
            app.port, guarded.urls, prefix, *as_web(password), ttl="3s"
        ) as secretary:
            wait_for(lambda: secretary.errors() > 1)
            (line,) = secretary.complaints
            assert words in line
            assert f"service=web key={key}" in line
            print(line)  # noqa: T201
            assert secretary.page("/livez")[0] == 200
            assert words in secretary.status()["last_error"]

            allow("grant")
            before = wait_for(lambda: etcdctl.get(key))
            wait_for(lambda: secretary.status()["last_error"] is None)

            allow("revoke")
            wait_for(lambda: len(secretary.complaints) == 2)
            # What stands there is no less true, and its lease needs no permission.
            stays(lambda: etcdctl.get(key) == before, for_s=4.5)
            allow("grant")
            wait_for(lambda: secretary.status()["last_error"] is None)
            assert etcdctl.get(key) == before
            assert secretary.stop() == 0
            assert etcdctl.get(key) is None


# Certificates


def test_tls(tls: DevEtcd, certificates: Certificates, prefix: str) -> None:
    trust = ("--etcd-cacert", certificates.cacert)
    works(tls, certificates, prefix, *trust)


def test_mutual_tls(mtls: DevEtcd, certificates: Certificates, prefix: str) -> None:
    works(mtls, certificates, prefix, *shown(certificates))


def shown(certificates: Certificates) -> tuple[str, ...]:
    return (
        *("--etcd-cacert", certificates.cacert),
        *("--etcd-cert", certificates.client_cert, "--etcd-key", certificates.client_key),
    )


def works(etcd: DevEtcd, certificates: Certificates, prefix: str, *more: str) -> None:
    """Hold that a secretary registers and leaves, and that `check` and `ls` are content."""
    client = ("--cert", certificates.client_cert, "--key", certificates.client_key)
    etcdctl = Etcdctl(etcd.urls, tls=("--cacert", certificates.cacert, *client))
    key = f"{prefix}/web/{IP}"
    with App() as app:
        told = run(
            *("check", "--name", "web", "--ip", IP, "--port", str(app.port), "--prefix", prefix),
            *("--probe", app.url, "--etcd", etcd.urls[0], *more),
        )
        assert (told.returncode, told.stderr) == (0, ""), told.stdout
        with Secretary.beside(app.port, etcd.urls, prefix, *more) as secretary:
            wait_for(lambda: etcdctl.get(key))
            told = run("ls", "--etcd", etcd.urls[0], "--prefix", prefix, *more)
            assert f"{IP}:{app.port}" in told.stdout
            assert secretary.stop() == 0
            assert etcdctl.get(key) is None
            assert secretary.complaints == []


def test_a_wrong_authority(tls: DevEtcd, certificates: Certificates) -> None:
    more = ("--etcd-cacert", certificates.other_cacert)
    is_refused(
        tls.urls[0],
        *more,
        words=["TLS", "not signed by --etcd-cacert", certificates.other_cacert],
    )
    told = run("ls", "--etcd", tls.urls[0], *more)
    assert told.returncode == 1
    assert "--etcd-cacert" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_no_authority_given(tls: DevEtcd) -> None:
    is_refused(tls.urls[0], words=["TLS", "give --etcd-cacert"])


def test_no_client_certificate_where_one_is_needed(
    mtls: DevEtcd, certificates: Certificates
) -> None:
    is_refused(
        mtls.urls[0],
        *("--etcd-cacert", certificates.cacert),
        words=["TLS", "--etcd-cert and --etcd-key"],
    )


def test_a_client_certificate_of_another_authority(
    mtls: DevEtcd, certificates: Certificates
) -> None:
    others = replace(
        certificates,
        client_cert=certificates.other_client_cert,
        client_key=certificates.other_client_key,
    )
    is_refused(mtls.urls[0], *shown(others), words=["TLS", "--etcd-cert and --etcd-key"])


@pytest.fixture(scope="module")
def misnamed(certificates: Certificates) -> Iterator[DevEtcd]:
    """etcd with another host's certificate."""
    elsewhere = replace(
        certificates,
        server_cert=certificates.elsewhere_cert,
        server_key=certificates.elsewhere_key,
    )
    with etcd_bed.tls_etcd(elsewhere, mutual=False) as etcd:
        yield etcd


def test_a_certificate_for_another_name(misnamed: DevEtcd, certificates: Certificates) -> None:
    is_refused(
        misnamed.urls[0],
        *("--etcd-cacert", certificates.cacert),
        words=["TLS", "does not name this host", "--etcd"],
    )


def test_http_to_a_port_that_speaks_https(tls: DevEtcd) -> None:
    is_refused(tls.urls[0].replace("https:", "http:"), words=["https"])


def test_https_to_a_port_that_speaks_http(etcd: DevEtcd, certificates: Certificates) -> None:
    is_refused(
        etcd.urls[0].replace("http:", "https:"),
        *("--etcd-cacert", certificates.cacert),
        words=["TLS", "https"],
    )


@pytest.mark.parametrize("option", ["--etcd-cacert", "--etcd-cert", "--etcd-key"])
def test_a_certificate_file_that_is_missing(
    mtls: DevEtcd, certificates: Certificates, tmp_path: Path, option: str
) -> None:
    missing = str(tmp_path / "missing.pem")
    given = list(shown(certificates))
    given[given.index(option) + 1] = missing
    is_wrong(mtls.urls[0], *given, words=f"{option}: {missing}: No such file or directory")


def test_a_password_file_that_is_missing(guarded: DevEtcd, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    words = f"--etcd-password-file: {missing}: No such file or directory"
    is_wrong(guarded.urls[0], *as_web(missing), words=words)


@pytest.mark.parametrize("option", ["--etcd-cacert", "--etcd-cert", "--etcd-key"])
def test_a_certificate_file_that_is_rubbish(
    mtls: DevEtcd, certificates: Certificates, tmp_path: Path, option: str
) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    given = list(shown(certificates))
    given[given.index(option) + 1] = str(rubbish)
    is_refused(mtls.urls[0], *given, words=["TLS", "do not go together", option])


def test_a_key_of_another_certificate(mtls: DevEtcd, certificates: Certificates) -> None:
    mixed = replace(certificates, client_key=certificates.other_client_key)
    is_refused(mtls.urls[0], *shown(mixed), words=["TLS", "do not go together", "--etcd-key"])


def test_a_member_whose_certificate_is_wrong_is_passed_over(
    misnamed: DevEtcd, tls: DevEtcd, certificates: Certificates, prefix: str
) -> None:
    trust = ("--etcd-cacert", certificates.cacert)
    etcdctl = Etcdctl(tls.urls, tls=("--cacert", certificates.cacert))
    with (
        App() as app,
        Secretary.beside(app.port, [*misnamed.urls, *tls.urls], prefix, *trust) as secretary,
    ):
        wait_for(lambda: etcdctl.get(f"{prefix}/web/{IP}"))
        assert secretary.complaints == []
