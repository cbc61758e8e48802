"""A file that a renderer keeps right, where no proxy is needed to see whether it does."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from secretary.devetcd import DevEtcd
from tests.renderers import Renderer
from tests.system.fronts import servers
from tests.waiting import wait_for

_LOOK_S: Final = 0.005


class Dest:
    """Made of the built-in template for nginx, and not checked by an nginx."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def renderer(self, etcd: DevEtcd, prefix: str, *more: str) -> Renderer:
        return Renderer.of(
            *(etcd.urls, prefix, "--builtin", "nginx", "--dest", str(self.path)),
            *("--check-cmd", "off", "--var", "default=web", *more),
        )

    @property
    def servers(self) -> Mapping[str, int]:
        """Their weights by address."""
        return servers(self.path)

    def is_as(self, content: bytes) -> bool:
        return self.path.read_bytes() == content

    def holds(self, *addrs: str, timeout_s: float = 10.0) -> None:
        """Wait until these are the servers in it."""
        wait_for(
            lambda: self.servers.keys() == set(addrs),
            timeout_s=timeout_s,
            what=f"the servers were {', '.join(addrs)}",
        )

    @contextmanager
    def never_empty(self) -> Iterator[None]:
        """Hold that whoever reads it meanwhile, however often, finds servers in it."""
        over, empty = threading.Event(), []

        def read() -> None:
            while not over.wait(_LOOK_S):
                if not self.servers:
                    empty.append(self.path.read_text() if self.path.exists() else "no file")

        thread = threading.Thread(target=read, name="reader")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not empty, f"{len(empty)} times it held no server; first it was:\n{empty[0]}"
