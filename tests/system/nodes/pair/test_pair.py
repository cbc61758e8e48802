"""A pair of balancers, and what becomes of a client's requests when something becomes of one.

Each test begins with both well, and leaves them so.
"""

import contextlib
import socket
from typing import Final

import pytest

from tests.system.app_host_bed import LOG, ask
from tests.system.node import Node
from tests.system.pair_bed import HA, Pair
from tests.system.pair_scene import HAND_OVER_S, HAPROXY_DEAD_S, NODE_LOST_S, Scene
from tests.waiting import wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

HAPROXY_HANGS_S: Final = 8.0
FORGIVEN_S: Final = 30.0
ADMIN: Final = "/run/haproxy/admin.sock"
MOST: Final = 20
"""Connections that HAProxy may have, for as long as it is to be full."""


def test_a_balancer_that_loses_its_power_is_replaced(scene: Scene) -> None:
    """When it is back the address stays where it is: a move is never free."""
    scene.active.kill()
    scene.moved()
    scene.active.boot()
    scene.pair.is_ready()
    scene.was_away(NODE_LOST_S)
    assert scene.pair.holder() is scene.standby


def test_a_balancer_that_is_shut_down_hands_over_first(scene: Scene) -> None:
    scene.active.power_off()
    scene.moved()
    scene.active.boot()
    scene.pair.is_ready()
    scene.was_away(HAND_OVER_S)


def test_a_balancer_without_network_is_replaced_and_gives_up_the_address(scene: Scene) -> None:
    """Else both would have it for a moment when the network is back."""
    scene.active.unplug()
    scene.moved()
    scene.was_away(NODE_LOST_S)
    wait_for(lambda: not scene.pair.has_it(scene.active), what="the one cut off gave it up")
    scene.active.plug_in()
    scene.pair.is_ready()


def test_haproxy_is_killed_and_back_before_the_address_would_move(scene: Scene) -> None:
    scene.active.systemctl("kill", "--signal=KILL", "haproxy")
    scene.client.is_served()
    scene.was_away(HAPROXY_DEAD_S)
    scene.pair.is_ready()
    assert scene.holders.moves == [scene.active.name], scene.holders.told()


def test_haproxy_is_stopped_by_hand_and_the_address_goes_to_the_other(scene: Scene) -> None:
    """The node is forgiven after a while, or at once when its operator says so."""
    scene.active.systemctl("stop", "haproxy")
    scene.moved()
    scene.was_away(HAPROXY_DEAD_S)
    scene.pair.clean_up()
    scene.pair.is_ready()


def test_haproxy_hangs_and_the_address_goes_to_the_other(scene: Scene) -> None:
    scene.active.systemctl("kill", "--signal=STOP", "haproxy")
    scene.moved()
    scene.was_away(HAPROXY_HANGS_S)
    scene.pair.clean_up()
    scene.pair.is_ready()


def test_both_haproxies_hang_and_the_pair_is_back_when_the_first_is_forgiven(scene: Scene) -> None:
    """The cluster ends both, and has to wait until it may start one again: 15 s."""
    for node in scene.pair.balancers:
        node.systemctl("kill", "--signal=STOP", "haproxy")

    def neither_runs() -> bool:
        return not any(node.active("haproxy") for node in scene.pair.balancers)

    wait_for(neither_runs, timeout_s=20)
    scene.client.is_served()
    scene.was_away(FORGIVEN_S)
    scene.pair.is_ready()


def test_a_flood_that_fills_haproxy_moves_nothing(scene: Scene) -> None:
    """Another would be as full. HAProxy serves what it has accepted, and all after the flood."""
    with contextlib.ExitStack() as flood:
        for node in scene.pair.balancers:
            fill_early(node, flood)
        for _ in range(2 * MOST):
            flood.enter_context(socket.create_connection((scene.pair.address, 80), timeout=5))
        wait_for(lambda: is_told_full(scene.active), what="the cluster heard of it")
        wait_for(lambda: scene.client.lost, what="nobody else was let in")
    scene.client.is_served()
    assert scene.holders.moves == [scene.active.name], scene.holders.told()


def fill_early(node: Node, stack: contextlib.ExitStack) -> None:
    """Let HAProxy have few connections, until a reload gives it its own limit again."""
    ask = (
        f"printf 'set maxconn global {MOST}\\n' | curl -sS --unix-socket {ADMIN} telnet://localhost"
    )
    node("/bin/sh", "-c", ask)
    stack.callback(node.systemctl, "reload", "haproxy")


def is_told_full(node: Node) -> bool:
    looked = node("journalctl", "--boot", "--quiet", "--grep=serves on, but is full", check=False)
    return bool(looked.stdout)


def test_both_are_rebooted_one_after_the_other(scene: Scene) -> None:
    for node in (scene.active, scene.standby):
        node.reboot()
        scene.pair.is_ready()
    scene.was_away(HAND_OVER_S)


def test_a_balancer_is_taken_out_by_hand_and_put_back(scene: Scene) -> None:
    scene.hands_over()
    assert not scene.active.active("haproxy")
    scene.active(*HA, "online")
    scene.pair.is_ready()
    scene.was_away(HAND_OVER_S)
    assert scene.pair.holder() is scene.standby


def test_the_app_host_answers_the_balancers_alone_and_logs_both_addresses(pair: Pair) -> None:
    pair.is_ready()
    outside = pair.bridge.ip
    assert ask(pair.apps.ip, pair.app.port, by=outside).status == 403
    assert ask(pair.address, 80, by=outside, path="/from-outside").status == 200
    line = f"proxy {pair.holder().ip} client {outside} "
    wait_for(lambda: any(_is_of(each, line) for each in _log(pair)), what="both were logged")


def _log(pair: Pair) -> list[str]:
    return pair.apps("cat", LOG).stdout.splitlines()


def _is_of(line: str, addresses: str) -> bool:
    return line.startswith(addresses) and "/from-outside" in line
