"""Whom a stopping secretary waits for: renderers that its going concerns, until they applied it."""

import msgspec
import pytest

from secretary.store.registry import Acknowledgement

KEY = "/services/web/10.0.0.5"


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        ({"applied": 6}, True),
        ({"applied": 7}, False),
        ({"applied": 8, "seen": 9, "host": "n"}, False),
        ({"applied": 6, "prefix": "/services"}, True),
        ({"applied": 6, "prefix": "/other"}, False),
        ({"applied": 6, "prefix": "/serv"}, False),
        ({"applied": 9, "quarantined": ["web"]}, True),
        ({"applied": 9, "quarantined": ["api"]}, False),
        ({"applied": 9, "prefix": "/other", "quarantined": ["web"]}, False),
    ],
)
def test_a_renderer_is_waited_for(said: dict[str, object], lacks: bool) -> None:
    assert msgspec.convert(said, Acknowledgement).lacks(KEY, 7) is lacks
