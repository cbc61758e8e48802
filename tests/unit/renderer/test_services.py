"""Templates see services by name; what did not change is the same object as before."""

from collections.abc import Collection
from datetime import timedelta

from secretary.core.instance import Instance, State
from secretary.renderer.services import Roster, View
from tests.unit.renderer.records import SINCE, instance, keyed


def view(
    roster: Roster,
    *records: Instance,
    revision: int = 1,
    draining: Collection[tuple[str, str]] = frozenset(),
) -> View:
    return roster.view(revision, 0, keyed(records), (), draining)


def test_instances_are_sorted_by_address_as_numbers_ipv4_first() -> None:
    ips = ["2001:db8::1", "10.0.0.10", "10.0.0.9", "::5"]
    seen = view(Roster(), *(instance(ip=ip) for ip in ips)).services["web"]
    assert [server.ip for server in seen] == ["10.0.0.9", "10.0.0.10", "::5", "2001:db8::1"]


def test_what_did_not_change_is_the_same_object() -> None:
    roster, web, db = Roster(), instance(), instance("db")
    first = view(roster, web, db)
    second = view(roster, instance(weight=5), db)
    assert second.services["db"] is first.services["db"]
    assert second.services["web"] is not first.services["web"]
    assert first.changed(second) == ["web"]


def test_a_service_that_has_lost_all_its_instances_stays_empty() -> None:
    roster = Roster(["api"])
    view(roster, instance())
    assert {n: len(s) for n, s in view(roster).services.items()} == {"api": 0, "web": 0}


def test_an_endpoint_under_two_keys_is_one_instance_the_younger() -> None:
    old = instance(id="old")
    young = instance(id="young", since=SINCE + timedelta(seconds=1))
    seen = Roster().view(1, 0, {"/services/web/10.0.0.1": young, "/services/web/old": old}, ())
    assert [server.id for server in seen.services["web"]] == ["young"]


def test_a_stale_instance_gives_way_to_a_record_of_the_same_endpoint() -> None:
    keys = {"/services/web/new": instance(id="new"), "/services/web/old": instance(id="zzz")}
    seen = Roster().view(1, 0, keys, {"/services/web/old"}).services["web"]
    assert [(server.id, server.stale) for server in seen] == [("new", False)]


def test_one_of_several_apps_at_an_address_is_drained_by_its_port() -> None:
    records = [instance(port=8080), instance(port=8081)]
    seen = view(Roster(), *records, draining=frozenset({("web", records[0].addr)})).services["web"]
    assert [(server.port, server.state) for server in seen] == [(8080, "draining"), (8081, "up")]


def test_draining_and_weightless_instances_take_nothing_new() -> None:
    records = [
        instance(ip="10.0.0.1"),
        instance(ip="10.0.0.2", weight=0),
        instance(ip="10.0.0.3", state=State.DRAINING),
        instance(ip="10.0.0.4"),
    ]
    seen = view(Roster(), *records, draining=frozenset({("web", "10.0.0.4")})).services["web"]
    assert [server.ip for server in seen.active] == ["10.0.0.1"]
    assert [server.state for server in seen] == ["up", "up", "draining", "draining"]


def test_an_operator_s_drain_comes_and_goes() -> None:
    roster, record = Roster(), instance()
    drained = view(roster, record, draining=frozenset({("web", "10.0.0.1")}))
    assert not drained.services["web"].active
    assert view(roster, record).services["web"].active


def test_weights_are_scaled_only_when_one_is_too_heavy() -> None:
    weights = [0, 1, 100, 60000]
    service = view(
        Roster(), *(instance(ip=f"10.0.0.{n}", weight=w) for n, w in enumerate(weights, 1))
    ).services["web"]
    assert [service.share(server, 256) for server in service] == [0, 1, 1, 256]
    assert [service.share(server, 65535) for server in service] == weights


def test_a_view_takes_chosen_services_from_another() -> None:
    roster = Roster()
    before = view(roster, instance(), instance("db"))
    after = view(roster, instance(weight=1), instance("db", weight=1), instance("api"), revision=2)
    mixed = before.merged(after, ["web", "api"])
    assert mixed.services["web"] is after.services["web"]
    assert mixed.services["db"] is before.services["db"]
    assert mixed.services["api"] is after.services["api"]
    assert "api" not in mixed.merged(before, ["api"]).services
