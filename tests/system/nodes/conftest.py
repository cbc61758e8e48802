"""What every test on nodes has."""

from tests.system.node_bed import leaves_nothing_behind

__all__ = ["leaves_nothing_behind"]
