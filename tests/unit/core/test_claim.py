"""Who may hold a key, for every combination of what stands there and what we hold."""

import pytest

from secretary.core.claim import Found, Standing, judge

OURS = b'{"ipv4_addr":"10.0.0.5","port":8080,"id":"a"}'
SAME = b'{"ipv4_addr":"10.0.0.5","port":8080,"id":"b"}'
OTHER = b'{"ipv4_addr":"10.0.0.5","port":9090}'
RUBBISH = b"{"
LEASE, FOREIGN, NONE = 7, 8, 0


@pytest.mark.parametrize(
    ("value", "under", "incumbent", "standing"),
    [
        (OURS, LEASE, True, Standing.OURS),
        (SAME, LEASE, True, Standing.ALTERED),
        (RUBBISH, LEASE, False, Standing.ALTERED),
        (OURS, FOREIGN, False, Standing.PREDECESSOR),
        (SAME, FOREIGN, False, Standing.PREDECESSOR),
        (SAME, FOREIGN, True, Standing.SUCCESSOR),
        (OTHER, FOREIGN, False, Standing.CONFLICT),
        (OTHER, FOREIGN, True, Standing.CONFLICT),
        (RUBBISH, FOREIGN, False, Standing.CONFLICT),
        (OURS, NONE, False, Standing.ALTERED),
        (SAME, NONE, True, Standing.ALTERED),
        (RUBBISH, NONE, False, Standing.ALTERED),
        (OTHER, NONE, False, Standing.CONFLICT),
        (OTHER, NONE, True, Standing.ALTERED),
    ],
)
def test_what_stands_there_is_judged(
    value: bytes, under: int, incumbent: bool, standing: Standing
) -> None:
    found = Found(value, under, 1, 2)
    assert judge(found, value=OURS, lease=LEASE, incumbent=incumbent) is standing


def test_nothing_there_is_free() -> None:
    assert judge(None, value=OURS, lease=None, incumbent=False) is Standing.FREE


def test_without_a_lease_of_our_own_nothing_is_ours_already() -> None:
    found = Found(OURS, FOREIGN, 1, 2)
    assert judge(found, value=OURS, lease=None, incumbent=False) is Standing.PREDECESSOR
