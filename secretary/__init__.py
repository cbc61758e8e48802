"""A secretary keeps one app's record in etcd true."""

__version__ = "0.1.0"
