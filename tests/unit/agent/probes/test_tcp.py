"""A TCP probe asks whether somebody listens, and gives a look-up no more than its due."""

import errno
import os
import resource
import socket
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from secretary.agent.ports import Outcome
from secretary.agent.probes import build
from secretary.agent.probes.connection import connect, failed
from secretary.agent.probes.deadline import Deadline
from secretary.agent.probes.resolver import Resolver
from secretary.core.errors import SettingsError
from secretary.core.settings import ProbeSettings
from tests import hostile as h
from tests.apps import free_port
from tests.hostile import hostile
from tests.waiting import wait_for


def outcome(target: str, timeout_s: float = 0.4) -> tuple[Outcome, str]:
    result = build(ProbeSettings(target=target, timeout_s=timeout_s)).run()
    return result.outcome, result.detail


def test_a_port_that_takes_a_connection_passes() -> None:
    with hostile(h.silent) as port:
        assert outcome(f"tcp://127.0.0.1:{port}") == (Outcome.PASS, "connected")


def test_a_port_that_nobody_listens_on_is_a_refusal() -> None:
    assert outcome(f"tcp://127.0.0.1:{free_port()}") == (Outcome.REFUSED, "refused")


def test_a_full_backlog_is_a_doubt() -> None:
    with h.never_accepts() as port:
        assert outcome(f"tcp://127.0.0.1:{port}") == (
            Outcome.DOUBT,
            "timed out after 0.4 s connecting",
        )


def test_ipv6_is_spoken() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert outcome(f"tcp://[::1]:{server.getsockname()[1]}")[0] is Outcome.PASS


def test_localhost_is_found_though_only_one_family_listens() -> None:
    with hostile(h.silent) as port:
        assert outcome(f"tcp://localhost:{port}", 2.0)[0] is Outcome.PASS


def test_localhost_where_nobody_listens_is_a_refusal() -> None:
    assert outcome(f"tcp://localhost:{free_port()}", 2.0)[0] is Outcome.REFUSED


def test_a_name_that_does_not_exist_is_a_doubt() -> None:
    doubted, detail = outcome("tcp://no-such-host.invalid:80", 10.0)
    assert doubted is Outcome.DOUBT
    assert "resolv" in detail


@pytest.mark.parametrize("target", ["tcp://a..b:80", "tcp://%s.example:80", "http://a..b/"])
def test_a_name_that_no_host_can_have_is_refused_at_once(target: str) -> None:
    with pytest.raises(SettingsError, match="no host name"):
        build(ProbeSettings(target=target.replace("%s", "a" * 64)))


def test_a_host_without_descriptors_to_spare_cannot_look_up_a_name() -> None:
    """The C library says that there is no such name; that would be the app's failure."""

    def no_such_name(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    resolver = Resolver("app.example", 80, no_such_name)
    with pytest.raises(socket.gaierror):
        resolver.resolve(Deadline(5.0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files") as caught:
            resolver.resolve(Deadline(5.0))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failed(caught.value, Deadline(5.0)).outcome is Outcome.ERROR


def test_a_host_without_a_free_local_port_cannot_probe() -> None:
    every_port_taken = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    assert failed(every_port_taken, Deadline(1.0)).outcome is Outcome.ERROR


class SlowNames:
    """A resolver's getaddrinfo that waits until it is let go."""

    def __init__(self, found: Sequence[tuple[Any, ...]]) -> None:
        self.found = found
        self.calls = 0
        self.go = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> Sequence[tuple[Any, ...]]:
        self.calls += 1
        self.go.wait()
        return self.found


def test_a_look_up_that_hangs_is_given_up_and_never_doubled() -> None:
    with hostile(h.silent) as port:
        names = SlowNames(socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM))
        resolver = Resolver("app.example", port, names)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                connect(resolver, Deadline(0.02))
        assert names.calls == 1
        assert sum(thread.name == "resolver" for thread in threading.enumerate()) == 1

        names.go.set()
        connect(resolver, Deadline(2.0)).close()
        assert names.calls == 1
        wait_for(lambda: all(thread.name != "resolver" for thread in threading.enumerate()))
        connect(resolver, Deadline(2.0)).close()
        assert names.calls == 2


def test_one_address_that_answers_is_enough() -> None:
    with hostile(h.silent) as port:
        nobody = free_port()
        found = [
            *socket.getaddrinfo("127.0.0.1", nobody, type=socket.SOCK_STREAM),
            *socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM),
        ]
        connect(Resolver("app.example", port, lambda *_, **__: found), Deadline(2.0)).close()


def test_an_address_of_a_family_that_this_host_lacks_says_nothing() -> None:
    with hostile(h.silent) as port:
        here = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
        lacking = (socket.AF_DECnet, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        found = [lacking, *here]
        connect(Resolver("app.example", port, lambda *_, **__: found), Deadline(2.0)).close()


def test_doubt_about_one_address_outweighs_the_refusal_of_another() -> None:
    with h.never_accepts() as port:
        nobody = free_port()
        found = [
            *socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM),
            *socket.getaddrinfo("127.0.0.1", nobody, type=socket.SOCK_STREAM),
        ]
        with pytest.raises(TimeoutError):
            connect(Resolver("app.example", port, lambda *_, **__: found), Deadline(0.3))
