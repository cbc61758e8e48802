"""Real systemd hosts for the tests, on a bridge of this host.

    def test_…(nodes: NodeBed) -> None:
        one, two = nodes.make("one"), nodes.make("two")
        nodes.boot(one, two)

The tests that use it are in `nodes/`: what runs in a node is the node's affair, and ends with it.
"""

import contextlib
from collections.abc import Iterator
from typing import Final, Self

import psutil
import pytest

from secretary.devetcd import binary
from tests.footprint import Footprint
from tests.system.bridge import Bridge
from tests.system.docker_bed import needs
from tests.system.node import Node
from tests.system.node_root import NodeRoot, node_root
from tests.waiting import wait_for

_FIRST: Final = 11
"""The last part of the first node's address."""


class NodeBed:
    """A bridge, and the nodes on it; all of it is gone when it is left."""

    def __init__(self, root: NodeRoot) -> None:
        self._root = root
        self.bridge = Bridge()
        self.all: list[Node] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.bridge)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def make(self, name: str, *options: str) -> Node:
        """Return a node that is off; `options` are further arguments of systemd-nspawn.

        It has etcd and etcdctl in /usr/bin, and a network with the nodes made so far and this host.
        """
        ip = str(self.bridge.network[_FIRST + len(self.all)])
        tools = [f"--bind-ro={binary(tool)}:/usr/bin/{tool}" for tool in ("etcd", "etcdctl")]
        node = Node(name, ip, self.bridge, self._root, *tools, *options)
        self._open.enter_context(node)
        self.all.append(node)
        return node

    def boot(self, *nodes: Node) -> None:
        """Boot them at the same time."""
        for node in nodes:
            node.turn_on()
        for node in nodes:
            node.comes_up()


@pytest.fixture(scope="session")
def node_disk() -> Iterator[NodeRoot]:
    """What every node's disk holds at first."""
    needs("debootstrap", "ip", "mount", "nsenter", "setpriv", "systemd-nspawn")
    with node_root() as root:
        yield root


@pytest.fixture(scope="module")
def nodes(node_disk: NodeRoot) -> Iterator[NodeBed]:
    """A bridge for the nodes of a module's tests."""
    with NodeBed(node_disk) as bed:
        yield bed


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """In place of the house's: what a node runs stays until the node's end."""
    before = Footprint.now()
    yield

    def left() -> list[str]:
        mine = _of_nodes()
        held = Footprint.now().held.items()
        return [words for key, words in held if key not in before.held and key not in mine]

    with contextlib.suppress(AssertionError):  # said better below
        wait_for(lambda: not left())
        return  # a look more could only find what a node has begun meanwhile
    if said := left():
        pytest.fail(f"the test left behind: {'; '.join(said)}", pytrace=False)


def _of_nodes() -> set[object]:
    """The processes of nodes, as a footprint knows them."""
    found: set[object] = set()
    for process in psutil.Process().children():
        if process.name() == "systemd-nspawn":
            family = [process, *process.children(recursive=True)]
            for member in family:
                with contextlib.suppress(psutil.Error):
                    found.add((member.pid, member.create_time()))
    return found
