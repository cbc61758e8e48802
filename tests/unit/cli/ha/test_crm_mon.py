"""What crm_mon has said at several moments of a real pair is understood, and nothing else is."""

import pytest

from secretary.cli.ha.crm_mon import decoded
from secretary.cli.ha.pair import Balancer, Ban, Failure, Reach, Running, Standing
from secretary.core.errors import ClusterError
from tests.unit.cli.ha.captured import CAPTURED, banned_from_lb1, said


def test_a_pair_that_is_well() -> None:
    pair = decoded(said("healthy"))
    assert pair.balancers == (
        Balancer("lb1", Standing.ONLINE, Running.RUNNING, True, ("address",), True, Reach(4, 4)),
        Balancer("lb2", Standing.ONLINE, Running.RUNNING, True, (), True, Reach(4, 4)),
    )
    assert (pair.addresses, pair.nowhere) == (("address",), ())
    assert (pair.failures, pair.bans) == ((), ())
    assert (pair.judged, pair.quorum, pair.fencing, pair.unmanaged) == (True, True, False, False)


def test_one_whose_configuration_is_behind() -> None:
    one, two = decoded(said("stale")).balancers
    assert (one.fresh, one.addresses) == (False, ())
    assert (two.fresh, two.addresses) == (True, ("address",))


def test_one_in_standby() -> None:
    one, two = decoded(said("standby")).balancers
    assert one.addresses == ("address",)
    assert two.standing is Standing.STANDBY
    assert (two.haproxy, two.addresses, two.busy) == (Running.STOPPED, (), False)


def test_an_address_on_its_way_is_nobodys() -> None:
    """It has left the one, and does not answer at the other yet; HAProxy still runs at both."""
    pair = decoded(said("moving"))
    assert pair.nowhere == ("address",)
    assert [each.haproxy for each in pair.balancers] == [Running.RUNNING] * 2


def test_one_that_has_died() -> None:
    one, two = decoded(said("died")).balancers
    assert one.addresses == ("address",)
    assert two == Balancer("lb2", Standing.OFFLINE, Running.STOPPED, None, (), busy=False)


def test_one_that_is_alone_after_a_boot_has_no_quorum() -> None:
    pair = decoded(said("alone"))
    assert not pair.quorum
    assert pair.nowhere == ("address",)
    assert [each.standing for each in pair.balancers] == [Standing.OFFLINE, Standing.ONLINE]


def test_what_has_failed_and_how_it_is_cleared() -> None:
    pair = decoded(said("failed"))
    (failure,) = pair.failures
    assert failure == Failure("haproxy", "lb2", "monitor", "not running", "2026-11-21 18:24:02Z")
    assert failure.cleared_by == "crm resource cleanup haproxy lb2"
    assert pair.balancers[1].haproxy is Running.STOPPED


def test_what_was_sent_away_and_may_not_return() -> None:
    """Bans that other rules make are none of it."""
    assert decoded(said("died")).bans == ()
    (ban,) = decoded(banned_from_lb1()).bans
    assert ban == Ban("address", "lb1")
    assert ban.lifted_by == "crm_resource --clear --resource address --node lb1"


def test_a_cluster_that_only_looks_on() -> None:
    assert decoded(said("maintenance")).unmanaged


@pytest.mark.parametrize(
    ("mark", "standing"),
    [
        ('unclean="true"', Standing.UNCLEAN),
        ('pending="true"', Standing.JOINING),
        ('shutdown="true"', Standing.LEAVING),
        ('standby_onfail="true"', Standing.STANDBY),
        ('maintenance="true"', Standing.MAINTENANCE),
    ],
)
def test_each_way_of_being_a_node(mark: str, standing: Standing) -> None:
    text = said("healthy").replace(mark.replace("true", "false"), mark, 1)
    assert decoded(text).balancers[0].standing is standing


def test_a_resource_that_has_failed_is_not_had() -> None:
    """It may be half there; the cluster is about to mend it."""
    text = said("healthy").replace('failed="false"', 'failed="true"', 1)
    assert decoded(text).nowhere == ("address",)


def test_agents_are_known_as_older_releases_write_them_too() -> None:
    text = said("healthy").replace("ocf:heartbeat:IPaddr2", "ocf::heartbeat:IPaddr2")
    assert decoded(text) == decoded(said("healthy"))


def test_haproxy_by_systemd_has_nobody_who_judges_it() -> None:
    text = said("healthy").replace("ocf:secretary:balancer", "systemd:haproxy")
    pair = decoded(text)
    assert not pair.judged
    assert pair.balancers[0].haproxy is Running.RUNNING


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ("</pacemaker-result>", "", "not XML"),
        ("<nodes>", "<others>", "not XML"),
        ("resources>", "things>", "says nothing of its resources"),
        ("<current_dc ", "<dc ", "who leads it"),
        ('online="true"', 'online="yes"', "node online is yes, not true or false"),
        ('online="true"', "", "a node without online"),
        ('role="Started"', 'role="Sleeping"', "haproxy has the role Sleeping"),
        ('"secretary-fresh" value="1"', '"secretary-fresh" value="2"', "secretary-fresh is 2"),
    ],
)
def test_what_is_not_understood_is_one_line_that_says_so(was: str, now: str, words: str) -> None:
    with pytest.raises(ClusterError, match=words) as raised:
        decoded(said("healthy").replace(was, now))
    assert "\n" not in str(raised.value)


def test_every_moment_that_was_captured_is_understood() -> None:
    for file in sorted(CAPTURED.iterdir()):
        assert len(decoded(file.read_text()).balancers) == 2
