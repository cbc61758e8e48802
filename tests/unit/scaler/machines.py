"""Groups and machines for the scaler's tests."""

from datetime import UTC, datetime
from typing import Any

from secretary.core.machine import Machine, MachineState
from secretary.core.scaling import (
    MachineSettings,
    Metric,
    PolicySettings,
    ProviderName,
    ScaleGroup,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def group(name: str = "web", **more: Any) -> ScaleGroup:
    fields: dict[str, Any] = {
        "service": name,
        "provider": ProviderName.DOCKER,
        "machine": MachineSettings(image="web"),
    }
    return ScaleGroup(name=name, **(fields | more))


def measured(metric: Metric, source: str, query: str = "") -> ScaleGroup:
    """A group whose load is read there."""
    return group(policy=PolicySettings(metric=metric, source=source, query=query))


def machine(number: int = 1, address: str | None = "10.0.0.1", **more: Any) -> Machine:
    fields: dict[str, Any] = {
        "group": "web",
        "provider": "docker",
        "state": MachineState.SERVING,
        "requested": NOW,
        "since": NOW,
        "provider_id": f"id-{number}",
    }
    return Machine(id=f"web-{number}", address=address, **(fields | more))
