"""What a pair does when renderers or etcd fail: nothing, unless the other balancer knows more."""

import contextlib

import pytest

from tests.system.node import Node
from tests.system.outage import APART
from tests.system.pair_bed import HA
from tests.system.pair_scene import HAND_OVER_S, Scene
from tests.system.units_bed import rendered
from tests.waiting import stays, wait_for

# The first test waits for debootstrap.
pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


def test_a_renderer_that_is_killed_costs_nothing(scene: Scene) -> None:
    before = scene.active.show("secretary-render", "MainPID")
    scene.active.systemctl("kill", "--signal=KILL", "secretary-render")
    wait_for(lambda: scene.active.show("secretary-render", "MainPID") not in {"0", before})
    wait_for(lambda: scene.active.active("secretary-render"))
    scene.client.is_served()
    scene.lost_nothing()


def test_a_stale_balancer_hands_over_to_a_fresh_one(scene: Scene) -> None:
    """With both stale it stays where it is."""
    pair = scene.pair
    with contextlib.ExitStack() as stack:
        freeze_renderer(scene.active, stack)
        scene.has_it(scene.standby)
        scene.client.is_served()
        freeze_renderer(scene.standby, stack)
        wait_for(lambda: pair.freshness() == ["0", "0"], what="both were stale", timeout_s=30)
        pair.settles()
        assert scene.holders.now == {scene.standby.name}, scene.holders.told()
    wait_for(lambda: pair.freshness() == ["1", "1"], what="both were fresh", timeout_s=30)
    pair.settles()
    scene.client.is_served()
    scene.was_away(HAND_OVER_S)
    assert scene.holders.moves == [scene.active.name, scene.standby.name]


def test_both_become_stale_at_once_and_the_address_stays(scene: Scene) -> None:
    """By the same mistake, say, in what HAProxy reads: it would not take that at a start."""
    pair = scene.pair
    configs = [node.disk / "etc/haproxy/haproxy.cfg" for node in pair.balancers]
    good = [config.read_text() for config in configs]
    for config in configs:
        config.write_text("nonsense\n")
    try:
        wait_for(lambda: pair.freshness() == ["0", "0"], what="both were stale", timeout_s=30)
        pair.settles()
        scene.client.is_served(times=3 * APART)  # longer than the cluster waits to hear of both
        scene.lost_nothing()
    finally:
        for config, text in zip(configs, good, strict=True):
            config.write_text(text)
    pair.is_ready()
    scene.client.is_served()
    scene.was_away(HAND_OVER_S)  # one of them is well first


def freeze_renderer(node: Node, stack: contextlib.ExitStack) -> None:
    """Stop it, without systemd's watchdog, which would end that after half a minute."""
    node.systemctl("service-watchdogs", "no")
    stack.callback(node.systemctl, "service-watchdogs", "yes")
    node.systemctl("kill", "--signal=STOP", "secretary-render")
    stack.callback(node.systemctl, "kill", "--signal=CONT", "secretary-render")


def test_without_any_etcd_all_goes_on(scene: Scene) -> None:
    """Also when it is away for longer than a configuration may be behind."""
    scene.pair.stop_etcd()
    try:
        stays(lambda: scene.pair.freshness() == ["1", "1"], for_s=15)
    finally:
        scene.pair.start_etcd()
    scene.client.is_served()
    scene.lost_nothing()


def test_a_balancer_that_was_away_knows_at_once_what_has_changed(scene: Scene) -> None:
    """An app has come and another one gone meanwhile."""
    pair = scene.pair
    scene.standby.power_off()
    came = pair.third.start(pair.etcdctl)
    pair.other.stop()
    rendered(pair.etcdctl, came)
    scene.standby.boot()
    pair.is_ready()
    scene.hands_over()
    moved_s = scene.holders.changes[-1].at_s
    scene.client.is_served(times=10)
    assert scene.client.apps(moved_s) == {pair.app.name, pair.third.name}
    scene.was_away(HAND_OVER_S)

    scene.active(*HA, "online")
    pair.third.stop()
    pair.other.start(pair.etcdctl)
    pair.is_ready()
