"""A group of machines for each test."""

from collections.abc import Iterator

import pytest

from secretary.devetcd import DevEtcd
from tests.system.scaling_bed import Bed, bed_in


@pytest.fixture
def bed(etcd: DevEtcd, prefix: str) -> Iterator[Bed]:
    with bed_in(etcd, prefix) as bed:
        yield bed
