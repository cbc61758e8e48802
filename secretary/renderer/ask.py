"""Asks instances themselves whether they answer, all at once: for when the directory is in doubt.

A TCP connection; or, where the record's meta has a `probe` such as `/healthz`, an HTTP GET of
that path with a status of 200 to 399. Never follows a record anywhere but to its own address.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Final

from secretary.core.instance import Instance

TIMEOUT_S: Final = 1.0
AT_ONCE: Final = 256
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_GOOD: Final = re.compile(rb"HTTP/1\.[01] [23][0-9]{2}[ \r\n]")


def ask(instances: Mapping[str, Instance]) -> dict[str, bool]:
    """Return for each key whether its instance answers, within about TIMEOUT_S for each 256."""
    return asyncio.run(_ask_all(instances))


async def _ask_all(instances: Mapping[str, Instance]) -> dict[str, bool]:
    places = asyncio.Semaphore(AT_ONCE)

    async def within(record: Instance) -> bool:
        async with places:
            try:
                return await asyncio.wait_for(_answers(record), TIMEOUT_S)
            except (OSError, TimeoutError, ValueError):
                return False

    answers = await asyncio.gather(*(within(record) for record in instances.values()))
    return dict(zip(instances, answers, strict=True))


async def _answers(record: Instance) -> bool:
    reader, writer = await asyncio.open_connection(record.ip, record.port)
    try:
        path = record.meta.get("probe", "")
        if not _PATH.fullmatch(path):
            return True
        request = f"GET {path} HTTP/1.1\r\nHost: {record.addr}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        return _GOOD.match(await reader.readline()) is not None
    finally:
        writer.close()
