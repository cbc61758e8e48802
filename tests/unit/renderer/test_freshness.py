"""A renderer is fresh when it has applied all that etcd held, deletions too."""

import pytest

from secretary.renderer.freshness import Listed, Page, Told, Verdict, judge, lacks

LISTED = Listed(revision=50, newest=40, keys=3)


def test_who_has_applied_a_later_revision_lacks_nothing() -> None:
    assert lacks(LISTED, Told(seen=50, applied=50, keys=3), 50) is None
    assert lacks(LISTED, Told(seen=53, applied=52, keys=9), 60) is None


def test_what_was_written_elsewhere_in_etcd_is_not_lacked() -> None:
    """etcd counts all its writes, and a renderer hears only of those under its prefix."""
    assert lacks(LISTED, Told(seen=40, applied=40, keys=3), 50) is None


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (Told(seen=39, applied=39, keys=2), "revision 39 is applied, and not 40"),
        (Told(seen=45, applied=42, keys=3), "revision 42 is applied, and not 45"),
        (Told(seen=45, applied=45, keys=4), "4 keys at revision 45 are applied, and etcd has 3"),
        (Told(seen=50, applied=0, keys=3), "nothing is applied yet"),
        (Told(), "nothing is applied yet"),
    ],
    ids=["a change", "a change that it knows of", "a deletion", "all", "all, from the start"],
)
def test_what_is_lacked_is_said(told: Told, why: str) -> None:
    assert lacks(LISTED, told, 50) == why


def test_who_works_by_a_revision_that_is_yet_to_come_works_by_a_former_etcd() -> None:
    why = lacks(LISTED, Told(seen=900, applied=900, keys=3), 51)
    assert why == "revision 900 is applied, and etcd, made anew, is at 51 only"


def test_an_empty_directory_is_applied_by_who_has_seen_it() -> None:
    assert lacks(Listed(50), Told(seen=7, applied=7, keys=0), 50) is None
    assert lacks(Listed(50), Told(seen=7, applied=7, keys=1), 50) is not None


def test_records_and_drains_both_count() -> None:
    good, bad = Told(seen=50, applied=50, keys=3), Told(seen=30, applied=30, keys=3)

    def of(records: Told, drains: Told) -> tuple[Verdict, str]:
        found = judge(LISTED, LISTED, Page(records, drains), 50)
        return found.verdict, found.why

    assert of(good, good) == (Verdict.FRESH, "all that etcd held at revision 50 is applied")
    assert of(bad, good) == (Verdict.BEHIND, "records: revision 30 is applied, and not 40")
    assert of(good, bad) == (Verdict.BEHIND, "drains: revision 30 is applied, and not 40")


def test_drains_that_nobody_may_read_do_not_count() -> None:
    page = Page(Told(seen=50, applied=50, keys=3), Told())
    assert judge(LISTED, None, page, 50).verdict is Verdict.FRESH
