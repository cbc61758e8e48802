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
