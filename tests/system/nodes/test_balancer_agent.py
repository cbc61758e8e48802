"""The resource agent starts, stops and watches haproxy, and tells whether this node is fresh."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.system.balancer_bed import (
    AGENT,
    CONFIG,
    CONFIGURED,
    GENERIC,
    INSTALLED,
    NOT_RUNNING,
    PORT,
    RENDERER,
    STATE,
    SUCCESS,
    THROUGH,
    UNIT,
    URL,
    BalancerBed,
)
from tests.system.node_bed import NodeBed
from tests.waiting import stays, wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

DIRECT = {"unit": "none"}
MOST = 20
"""Connections."""
QUICK = {"max_lag": "1", "audit": "1"}
MODES = pytest.mark.parametrize("mode", [{}, DIRECT], ids=["by systemd", "by itself"])


@pytest.fixture(scope="module")
def host(nodes: NodeBed) -> BalancerBed:
    node = nodes.make("lb1")
    host = BalancerBed(node)
    nodes.boot(node)
    host.start()
    return host


@pytest.fixture
def balancer(host: BalancerBed) -> Iterator[BalancerBed]:
    """It starts from a haproxy that is down and ends with one."""
    before = host.config
    yield host
    if "nonsense" in host.config:
        host.config = before
    host.params = {}
    for mode in ({}, DIRECT):
        assert host("stop", **mode) == (SUCCESS, "")
    # What the renderer asks about a configuration that has just changed is one too, for a moment.
    wait_for(lambda: not host.haproxies(), what="no haproxy was left")
    host.node("rm", "-f", "/var/lib/attributes")


@MODES
def test_it_passes_ocf_tester(balancer: BalancerBed, mode: dict[str, str]) -> None:
    params = {"url": URL} | mode
    options = [word for name, value in params.items() for word in ("-o", f"{name}={value}")]
    done = balancer.node("ocf-tester", "-n", "balancer", *options, AGENT)
    assert f"{AGENT} passed all tests" in done.stdout
    assert "* rc=" not in done.stdout


@MODES
def test_its_life(balancer: BalancerBed, mode: dict[str, str]) -> None:
    """Each action may be repeated, and a node on which it never ran is no failure."""
    balancer.params = mode
    assert balancer("monitor", interval="0") == (NOT_RUNNING, "")
    assert balancer("stop") == (SUCCESS, "")
    assert balancer("reload") == (NOT_RUNNING, "")
    for _ in range(2):
        assert balancer("start") == (SUCCESS, "")
        assert balancer("monitor") == (SUCCESS, "")
        assert balancer("monitor", interval="0") == (SUCCESS, "")
    before = balancer.haproxies()
    assert balancer("reload") == (SUCCESS, "")
    wait_for(lambda: balancer.haproxies() not in ([], before), what="haproxy had a new worker")
    assert balancer("monitor") == (SUCCESS, "")
    for _ in range(2):
        assert balancer("stop") == (SUCCESS, "")
        assert balancer("monitor") == (NOT_RUNNING, "")
    assert not balancer.haproxies()


def test_a_parameter_that_cannot_be_meant_is_named(balancer: BalancerBed) -> None:
    assert balancer("validate-all") == (SUCCESS, "")
    for name, value, allowed in (
        ("max_lag", "10s", "whole seconds"),
        ("answer_timeout", "08", "whole seconds"),
        ("answer_timeout", "0", "at least 1"),
        ("url", "127.0.0.1", "a URL, such as http://127.0.0.1:80/"),
        ("unit", "haproxy", "a .service, or none"),
        ("config", "haproxy.cfg", "an absolute path"),
    ):
        reason = f'{name}: found "{value}"; allowed: {allowed}'
        assert balancer("validate-all", **{name: value}) == (CONFIGURED, reason)
        assert balancer("monitor", interval="0", **{name: value})[0] == NOT_RUNNING
    reason = "/usr/sbin/none is missing: install it on this node"
    assert balancer("start", binary="/usr/sbin/none") == (INSTALLED, reason)


@MODES
def test_it_does_not_start_by_a_configuration_that_is_wrong(
    balancer: BalancerBed, mode: dict[str, str]
) -> None:
    """Softly, so that only this node is passed over, and only for a while."""
    good = balancer.config
    balancer.config = f"{good}\nnonsense\n"
    status, reason = balancer("start", **mode)
    assert status == GENERIC
    assert reason.startswith(f"the configuration is wrong: config : parsing [{CONFIG}:")
    assert balancer("monitor", **mode) == (NOT_RUNNING, "")
    balancer.config = good
    assert balancer("start", **mode) == (SUCCESS, "")


def test_it_says_that_haproxy_cannot_have_its_port(balancer: BalancerBed) -> None:
    balancer.hold(80)
    try:
        for mode in ({}, DIRECT):
            status, reason = balancer("start", timeout="5000", **mode)
            assert status == GENERIC
            assert reason.startswith("haproxy does not start: "), reason
            assert balancer("stop", **mode) == (SUCCESS, "")
    finally:
        balancer.node.systemctl("stop", "mute@80")


@MODES
def test_a_haproxy_that_hangs_has_failed_and_can_be_stopped(
    balancer: BalancerBed, mode: dict[str, str]
) -> None:
    balancer.params = mode
    assert balancer("start") == (SUCCESS, "")
    balancer.node("pkill", "-STOP", "-x", "haproxy")
    reason = f"haproxy runs, but does not answer at {URL} within 2 s"
    assert balancer("monitor") == (GENERIC, reason)
    assert balancer("stop", timeout="5000") == (SUCCESS, "")
    assert not balancer.haproxies()
    assert balancer("start") == (SUCCESS, "")
    assert balancer("monitor") == (SUCCESS, "")


def test_what_systemd_mends_is_no_failure(balancer: BalancerBed) -> None:
    assert balancer("start") == (SUCCESS, "")
    before = balancer.haproxies()
    balancer.signal("KILL")
    assert balancer("monitor") == (SUCCESS, "")
    assert not set(before) & set(balancer.haproxies())


def test_what_systemd_has_mended_too_often_has_failed(balancer: BalancerBed) -> None:
    """The address moves then; a start lets it begin anew."""
    assert balancer("start") == (SUCCESS, "")

    def is_given_up() -> bool:
        if balancer.haproxies():
            balancer.signal("KILL")
        return balancer.node.show(UNIT, "ActiveState") == "failed"

    wait_for(is_given_up)
    assert balancer("monitor")[0] == NOT_RUNNING
    assert balancer("start") == (SUCCESS, "")
    assert balancer("monitor") == (SUCCESS, "")


@MODES
def test_a_haproxy_that_somebody_has_ended_has_failed(
    balancer: BalancerBed, mode: dict[str, str]
) -> None:
    balancer.params = mode
    assert balancer("start") == (SUCCESS, "")
    if mode:
        balancer.node("pkill", "-KILL", "-x", "haproxy")
        wait_for(lambda: not balancer.haproxies())
    else:
        balancer.node.systemctl("stop", UNIT)
    assert balancer("monitor") == (NOT_RUNNING, "")


def test_a_slow_app_is_not_a_slow_haproxy(balancer: BalancerBed) -> None:
    """The only app there is takes the connection and never answers."""
    balancer.params = {"url": THROUGH}
    assert balancer("start") == (SUCCESS, "")
    wait_for(lambda: not balancer.answers(THROUGH), what="the app was called up")
    assert balancer("monitor", answer_timeout="1") == (SUCCESS, "")


# Whether it is fresh


def test_a_configuration_that_becomes_wrong_is_no_failure_but_not_fresh(
    balancer: BalancerBed,
) -> None:
    assert balancer("start") == (SUCCESS, "")
    balancer.monitored("1")
    good = balancer.config
    balancer.config = f"{good}\nnonsense\n"
    done = balancer.run("monitor")
    assert done.returncode == SUCCESS
    assert "not fresh: haproxy runs on, but could not be started again: its" in done.stderr
    assert balancer.attribute == "0"
    assert "not fresh" not in balancer.run("monitor").stderr, "it is said once"
    assert balancer("reload") == (SUCCESS, ""), "what works goes on"
    assert balancer("monitor") == (SUCCESS, "")
    balancer.config = good
    assert balancer("monitor") == (SUCCESS, "")
    assert balancer("stop") == (SUCCESS, "")
    assert balancer.told()[-4:] == ["1", "0", "1", "unset"]


def test_a_haproxy_that_is_full_has_not_failed(balancer: BalancerBed) -> None:
    """It accepts nobody then; another one would be as full, and those whom it serves are served."""
    assert balancer("start") == (SUCCESS, "")
    balancer.monitored("1")  # by now the renderer has no reason to reload it
    balancer.at_most(MOST)
    with contextlib.ExitStack() as stack:
        for _ in range(2 * MOST):
            stack.enter_context(socket.create_connection((balancer.node.ip, 80), timeout=5))
        assert not balancer.answers(URL)
        assert balancer("monitor") == (SUCCESS, "")
        balancer.signal("STOP")
        assert balancer("monitor")[0] == GENERIC
        balancer.signal("CONT")
    wait_for(lambda: balancer.answers(URL))
    assert balancer("monitor") == (SUCCESS, "")


def test_a_renderer_that_hangs_makes_it_stale_and_no_failure(balancer: BalancerBed) -> None:
    balancer.params = QUICK
    assert balancer("start") == (SUCCESS, "")
    balancer.monitored("1")
    balancer.signal("STOP", RENDERER)
    try:
        balancer.monitored("0")
    finally:
        balancer.signal("CONT", RENDERER)
    balancer.monitored("1")
    assert balancer.told()[-3:] == ["1", "0", "1"]


def test_a_renderer_that_is_gone_makes_it_stale_and_no_failure(balancer: BalancerBed) -> None:
    """Also where nothing is compared while the renderer answers."""
    balancer.params = QUICK | {"audit": "0"}
    assert balancer("start") == (SUCCESS, "")
    balancer.monitored("1")
    balancer.node.systemctl("stop", RENDERER)
    try:
        balancer.monitored("0")
    finally:
        balancer.node.systemctl("start", RENDERER)
    balancer.monitored("1")


def test_what_it_has_noted_and_cannot_read_is_no_failure(balancer: BalancerBed) -> None:
    assert balancer("start") == (SUCCESS, "")
    balancer.monitored("1")
    for note in ("told", "silent", "audited"):
        balancer.node("sh", "-c", f"echo '1 12x34' >{STATE}/{note}")
        assert balancer("monitor")[0] == SUCCESS
    balancer.monitored("1")


def test_a_change_that_is_not_applied_makes_it_stale(balancer: BalancerBed) -> None:
    """The disk is full, as far as the renderer is concerned."""
    balancer.params = QUICK | {"audit": "0"}
    assert balancer("start") == (SUCCESS, "")
    balancer.monitored("1")
    balancer.node("mount", "-o", "bind,ro", "/etc/haproxy", "/etc/haproxy")
    try:
        balancer.node.systemctl("restart", RENDERER)
        balancer.put(PORT + 1)
        balancer.monitored("0")
    finally:
        balancer.node("umount", "/etc/haproxy")
        balancer.node.systemctl("restart", RENDERER)
        balancer.delete(PORT + 1)
    balancer.monitored("1")


def test_while_etcd_is_away_nothing_changes(balancer: BalancerBed) -> None:
    # What the renderer owes to a haproxy that has just begun may take it longer than a second.
    balancer.params = QUICK | {"max_lag": "5"}
    assert balancer("start") == (SUCCESS, "")
    balancer.monitored("1")
    known = len(balancer.told())
    balancer.node.systemctl("stop", "etcd")
    try:
        balancer.node("rm", "-f", f"{STATE}/audit")

        def has_looked() -> bool:
            assert balancer("monitor") == (SUCCESS, "")
            return balancer.audited.startswith("3 unknown: ")

        wait_for(has_looked, timeout_s=60)
        # Not even a renderer that is gone says more: it may have had the last word of etcd.
        balancer.node.systemctl("stop", RENDERER)
        stays(has_looked, for_s=8)
        assert balancer("stop") == (SUCCESS, "")
        assert balancer("start") == (SUCCESS, "")
        assert balancer("monitor") == (SUCCESS, "")
        assert "0" not in balancer.told()[known:]
    finally:
        balancer.node.systemctl("start", "etcd")
        balancer.node.systemctl("start", RENDERER)
    balancer.monitored("1")


@pytest.mark.parametrize("file", ["etc/environment", "etc/secretary/secretary.env"])
def test_a_renderer_that_is_wrong_about_itself_is_found_out(
    balancer: BalancerBed, file: str
) -> None:
    """It follows another prefix than its configuration says by now."""
    balancer.params = QUICK
    assert balancer("start") == (SUCCESS, "")
    balancer.monitored("1")
    shared = balancer.node.disk / file
    before = shared.read_text() if shared.exists() else ""
    try:
        shared.write_text(f"{before}SECRETARY_PREFIX='/other'\n")
        balancer.monitored("0")
    finally:
        shared.write_text(before)
    balancer.monitored("1")


def test_without_a_cluster_nothing_hangs(balancer: BalancerBed) -> None:
    balancer.without_substitute()
    try:
        assert balancer("start") == (SUCCESS, "")
        recalled = balancer.node("cat", f"{STATE}/said-attribute").stdout
        assert recalled == "failed\n"
        assert "secretary-fresh could not" not in balancer.run("monitor").stderr, "it is said once"
    finally:
        balancer.with_substitute()
    balancer.monitored("1")
