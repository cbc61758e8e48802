"""A renderer as its users run it: a process of its own."""

import json
import re
from collections.abc import Sequence
from typing import Any, Self

from tests.secretaries import IP, Secretary
from tests.waiting import wait_for


class Renderer(Secretary):
    """`secretary render` while entered; all that a `Secretary` offers, it does too.

    It remembers nothing from one start to the next unless it is given a `--state`.
    """

    def __init__(self, *arguments: str, **env: str) -> None:
        if "--state" not in arguments and "--config" not in arguments:
            arguments = ("--state", "off", *arguments)
        super().__init__(*arguments, verb="render", **env)

    @classmethod
    def of(cls, etcd: Sequence[str], prefix: str, *more: str) -> Self:
        """A renderer of what is under the prefix, with a status server."""
        return cls(
            *("--etcd", ",".join(etcd), "--prefix", prefix, "--status", f"{IP}:0"),
            *more,
        )

    def told(self) -> dict[str, Any]:
        """Return /status."""
        status: dict[str, Any] = json.loads(self.page("/status")[1])
        return status

    @property
    def trouble(self) -> str | None:
        """What /readyz complains of; None when it is ready."""
        status, text = self.page("/readyz")
        return None if status == 200 else text

    def settles(self, revision: int = 0) -> None:
        """Wait until the proxies work by all that it knows, and by `revision` at least."""

        def works_by_it() -> bool:
            told = self.told()
            return bool(told["applied"] == told["seen"] >= revision) and self.trouble is None

        wait_for(works_by_it, what=f"revision {revision} was applied, and all that was seen")

    @property
    def reloads(self) -> int:
        return int(self.metric("reloads_total"))

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        pattern = rf"^secretary_render_{name}(?:{{[^}}]*}})? (\S+)$"
        found = re.findall(pattern, self.page("/metrics")[1], re.MULTILINE)
        assert found, f"no metric {name}"
        return sum(float(value) for value in found)
