"""HAProxy's statistics in CSV, as its admin socket and its stats page write them.

Pure. The columns are those of HAProxy's management guide, section 9.1.
"""

import csv
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from secretary.core.machine import Machine

_HEAD: Final = "# pxname,svname,"
_BACKEND: Final = "1"
_SERVER: Final = "2"


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a backend."""

    name: str
    port: int
    requests: int
    """Since HAProxy started, or the server came."""
    sessions: int
    queue: int


@dataclass(frozen=True, slots=True)
class Stats:
    """One backend. `queue` are the requests that wait for no server in particular."""

    servers: Mapping[str, tuple[Server, ...]]
    """By address; those that do not say theirs are left out."""
    queue: int

    @classmethod
    def read(cls, text: str, backend: str) -> Self | None:
        """Read what is said of `backend`; None when nothing is. ValueError when it is no such CSV.

        Of two sections with the name, the last one that can have servers counts.
        """
        if not text.startswith(_HEAD):
            raise ValueError
        servers: dict[str, tuple[Server, ...]] = {}
        queue: int | None = None
        try:
            for row in csv.DictReader(text.removeprefix("# ").splitlines(), strict=True):
                if None in row.values():  # it is shorter than the head
                    raise ValueError
                if row["pxname"] != backend:
                    continue
                if row["type"] == _BACKEND:
                    queue = _number(row["qcur"])
                elif row["type"] == _SERVER and (at := _place(row)) is not None:
                    ip, port = at
                    servers[ip] = (*servers.get(ip, ()), _server(row, port))
        except (csv.Error, KeyError) as error:
            raise ValueError from error
        return None if queue is None else cls(servers, queue)

    def of(self, machine: Machine) -> Sequence[Server]:
        """Return the servers that lead to this machine."""
        ip = _canonical(machine.address or "")
        there = self.servers.get(ip, ()) if ip is not None else ()
        return [server for server in there if machine.port in (None, server.port)]


def _server(row: Mapping[str, str], port: int) -> Server:
    return Server(
        name=row["svname"],
        port=port,
        requests=_number(row["stot"]),
        sessions=_number(row["scur"]),
        queue=_number(row["qcur"]),
    )


def _place(row: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the address and port: those that it tells, or those that are its name.

    HAProxy shows them to some only; our built-in template makes them the name.
    """
    host, _, port = (row.get("addr") or row["svname"]).rpartition(":")
    ip = _canonical(host.removeprefix("[").removesuffix("]"))
    return (ip, int(port)) if ip is not None and port.isascii() and port.isdigit() else None


def _canonical(address: str) -> str | None:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)
