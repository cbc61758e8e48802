"""A real Nova in this process: API, scheduler, conductor, placement, and a compute without
hypervisor. Its database and message bus are in memory.

It is put together from the fixtures that Nova's own wheel carries, and runs in a virtualenv of its
own (see openstack_home.py), without anything else of this project.
"""

import itertools
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import nova.monkey_patch  # noqa: F401 - before anything that knows of threads
from nova.tests.functional import integrated_helpers

PAGE = 20
"""The most servers that Nova tells at once: few, so that pages are cheap to have."""
_ROOM = 10_000
"""Machines that the project is allowed."""


class Nova(integrated_helpers._IntegratedTestBase):  # type: ignore[misc]
    """A test of Nova's that goes on as long as `serve` does."""

    CAST_AS_CALL = False  # so that a machine is there before it is active, as in a real cloud
    ADMIN_API = True

    def __init__(self, serve: Callable[["Nova"], None]) -> None:
        super().__init__("runTest")
        self._serve = serve

    @property
    def application(self) -> WSGIApplication:
        """Nova's API. Believes the headers that say who asks."""
        application: WSGIApplication = self.api_fixture.app()
        return application

    @property
    def project(self) -> str:
        return str(self.api_fixture.project_id)

    @property
    def images(self) -> Mapping[str, Mapping[str, Any]]:
        """Those of its fixture, and the snapshots that Nova has been told to make."""
        images: Mapping[str, Mapping[str, Any]] = self.glance.images
        return images

    @property
    def networks(self) -> Mapping[str, Mapping[str, Any]]:
        networks: Mapping[str, Mapping[str, Any]] = self.neutron._networks
        return networks

    def runTest(self) -> None:  # noqa: N802 - unittest's
        self._serve(self)

    def _setup_services(self) -> None:
        self.flags(compute_driver="fake.FakeDriver")
        self.flags(instances=_ROOM, cores=_ROOM * 100, ram=-1, group="quota")
        self.flags(max_limit=PAGE, group="api")
        paste = Path(sys.prefix, "etc/nova/api-paste.ini")
        self.flags(api_paste_config=str(paste), group="wsgi")
        super()._setup_services()
        # The fixtures make errors of what SQLAlchemy finds old-fashioned.
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        logging.disable()  # they would keep all that Nova says, down to each query
        self._give_each_an_address()
        self._offer("huge", ram=10**8)

    def _give_each_an_address(self) -> None:
        """The fixture gives all the same one, in a subnet of 256."""
        self.neutron.subnet_1["cidr"] = "192.168.0.0/16"
        make, numbers = self.neutron.create_port, itertools.count(2)

        def create_port(body: Any = None) -> Any:
            told = make(body)
            number = next(numbers)
            kept = self.neutron._ports[told["port"]["id"]]
            address = f"192.168.{number // 256 % 256}.{number % 256}"
            for port in (kept, told["port"]):
                port["fixed_ips"] = [dict(each) for each in port.get("fixed_ips", ())]
                if port["fixed_ips"]:
                    port["fixed_ips"][0]["ip_address"] = address
            return told

        self.neutron.create_port = create_port

    def _offer(self, name: str, ram: int) -> None:
        """Add a flavor: one that no host has room for leads to a machine in the state ERROR."""
        flavor = {"name": name, "id": name, "ram": ram, "vcpus": 1, "disk": 1}
        self.admin_api.post_flavor({"flavor": flavor})
