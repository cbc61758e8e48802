"""The real thing, next to the fakes."""

from tests.system.conftest import etcd, prefix

__all__ = ["etcd", "prefix"]
