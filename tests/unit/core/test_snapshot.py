"""A snapshot holds what decodes, says why the rest does not, and never changes."""

from secretary.core.snapshot import Change, Snapshot
from tests.unit.core.test_record import KEY, encoded

OTHER = "/services/web/10.0.0.6"
OTHER_VALUE = encoded(ipv4_addr="10.0.0.6", addr="10.0.0.6:8080")


def test_changes_make_another_snapshot_and_leave_the_first_alone() -> None:
    first = Snapshot().apply(5, [Change(KEY, encoded())])
    second = first.apply(6, [Change(OTHER, OTHER_VALUE), Change(KEY, None)])
    assert (first.revision, list(first.instances)) == (5, [KEY])
    assert (second.revision, list(second.instances)) == (6, [OTHER])


def test_a_bad_record_takes_the_good_one_before_it_out_and_is_kept_apart() -> None:
    snapshot = Snapshot().apply(5, [Change(KEY, encoded())]).apply(6, [Change(KEY, b"{")])
    assert not snapshot.instances
    assert "malformed" in snapshot.rejected[KEY] or "truncated" in snapshot.rejected[KEY]


def test_a_bad_record_that_is_mended_or_deleted_is_forgotten() -> None:
    bad = Snapshot().apply(5, [Change(KEY, b"{"), Change(OTHER, b"{")])
    after = bad.apply(6, [Change(KEY, encoded()), Change(OTHER, None)])
    assert (list(after.instances), dict(after.rejected)) == ([KEY], {})


def test_instances_are_sorted_by_name_and_address() -> None:
    snapshot = Snapshot().apply(5, [Change(OTHER, OTHER_VALUE), Change(KEY, encoded())])
    assert [i.ip for i in snapshot.of("web")] == ["10.0.0.5", "10.0.0.6"]
    assert snapshot.of("api") == []


def test_who_said_draining_before_it_went_has_left_on_purpose() -> None:
    first = Snapshot().apply(5, [Change(KEY, encoded()), Change(OTHER, OTHER_VALUE)])
    left = first.apply(7, [Change(KEY, encoded(state="draining")), Change(KEY, None)])
    assert left.left == {KEY}
    assert left.apply(8, [Change(OTHER, None)]).left == set()
    back = [Change(KEY, encoded(state="draining")), Change(KEY, None), Change(KEY, encoded())]
    assert first.apply(8, back).left == set()


def test_a_record_that_is_written_anew_with_the_same_content_is_the_same_object() -> None:
    first = Snapshot().apply(5, [Change(KEY, encoded())])
    again = first.apply(6, [Change(KEY, encoded())])
    assert again.instances[KEY] is first.instances[KEY]
    assert first.listed(7, [Change(KEY, encoded())]).instances[KEY] is first.instances[KEY]


def test_a_listing_is_all_that_there_is() -> None:
    first = Snapshot().apply(5, [Change(KEY, encoded()), Change("/services/web/bad", b"{")])
    after = first.listed(9, [Change(OTHER, OTHER_VALUE)])
    assert (after.revision, list(after.instances), dict(after.rejected)) == (9, [OTHER], {})


def test_who_may_write_below_one_service_cannot_speak_for_another() -> None:
    deep = KEY.replace("/services/", "/services/evil/")
    seen = Snapshot(prefix="/services").apply(5, [Change(deep, encoded()), Change(KEY, encoded())])
    assert list(seen.instances) == [KEY]
    assert seen.rejected == {deep: "the key is not /services/<name>/<ip>"}
