"""The hosts that the tests of single units share; see `units_hosts`."""

from tests.system.units_hosts import app, apps, etcdctl, front, host, ports, urls, watch

__all__ = ["app", "apps", "etcdctl", "front", "host", "ports", "urls", "watch"]
