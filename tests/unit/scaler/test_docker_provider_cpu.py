"""How busy a container is."""

import pytest

from secretary.scaler.providers.docker_cpu import Limits, Look, percent

NO_LIMITS = Limits()


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (NO_LIMITS, 12.5),
        (Limits(nano_cpus=2_000_000_000), 25.0),
        (Limits(nano_cpus=500_000_000), 100.0),
        (Limits(nano_cpus=64_000_000_000), 12.5),
        (Limits(cpu_quota=50_000, cpu_period=50_000), 50.0),
        (Limits(cpu_quota=200_000), 25.0),
        (Limits(cpu_quota=-1), 12.5),
    ],
)
def test_the_load_is_of_the_cores_that_it_may_use(limits: Limits, expected: float) -> None:
    before, now = Look(100, 1000, 4), Look(105, 1010, 4)
    assert percent(before, now, limits) == expected


def test_it_is_never_more_than_everything() -> None:
    assert percent(Look(0, 0, 1), Look(11, 10, 1), NO_LIMITS) == 100.0


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, Look(1, 1, 1)),
        (Look(1, 1, 1), None),
        (Look(1, 1, 1), Look(1, 1, 1)),
        (Look(1, 1, 1), Look(2, 1.1, 1)),
        (Look(1, 10, 1), Look(2, 1, 1)),
        (Look(1, 0, 1), Look(2, 61, 1)),
        (Look(5, 0, 1), Look(1, 10, 1)),
    ],
)
def test_looks_that_do_not_tell_are_no_load(before: Look | None, now: Look | None) -> None:
    """One is missing, they are too close or too far apart, or it was started between them."""
    assert percent(before, now, NO_LIMITS) is None
