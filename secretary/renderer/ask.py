"""Asks instances themselves whether they answer, many at once: for when the directory is in doubt.

A TCP connection; or, where the record's meta has a `probe` such as `/healthz`, an HTTP GET of
that path with a status of 200 to 399. Never follows a record anywhere but to its own address.
"""

import asyncio
import errno
import re
from collections.abc import Mapping
from typing import Final

from secretary.core.instance import Instance

TIMEOUT_S: Final = 1.0
AT_ONCE: Final = 64
_OURS: Final = {
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EADDRNOTAVAIL,
    errno.ENETDOWN,
}  # fmt: skip
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_GOOD: Final = re.compile(rb"HTTP/1\.[01] [23][0-9]{2}[ \r\n]")


def ask(instances: Mapping[str, Instance]) -> dict[str, bool]:
    """Return for each key whether its instance answers, within about TIMEOUT_S for each AT_ONCE.

    A key is left out when it could not be asked for: what this host lacks says nothing of it.
    """
    return asyncio.run(_ask_all(instances))


async def _ask_all(instances: Mapping[str, Instance]) -> dict[str, bool]:
    places = asyncio.Semaphore(AT_ONCE)

    async def within(record: Instance) -> bool | None:
        async with places:
            try:
                return await asyncio.wait_for(_answers(record), TIMEOUT_S)
            except OSError as error:
                return None if error.errno in _OURS else False
            except ValueError:  # a line without end
                return False

    answers = await asyncio.gather(*(within(record) for record in instances.values()))
    return {
        key: answer for key, answer in zip(instances, answers, strict=True) if answer is not None
    }


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
