"""Which service's change broke the configuration: found by halves, and left as it was.

Pure: asks `refusal` of whoever renders and checks what it thinks of a view.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from secretary.renderer.services import Service, View

Refusal = Callable[[View], Exception | None]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A service whose change broke the configuration: the change, and why."""

    change: Service | None
    reason: str


Ward = Mapping[str, Quarantined]
"""What is in quarantine, by name."""


def held_back(view: View, base: View, ward: Ward) -> tuple[View, Ward]:
    """Return `view` with what is in quarantine as it is in `base`, and who still is.

    A service that has changed since is tried again.
    """
    still = {n: kept for n, kept in ward.items() if view.services.get(n) is kept.change}
    return (view.merged(base, still), still) if still else (view, still)


def settle(
    view: View, base: View, changed: Sequence[str], refusal: Refusal, known: Exception
) -> tuple[View, Ward]:
    """Return the most of `view` that is not refused, and whom it leaves as they are in `base`.

    `base` is known to pass, and `view` to be refused because of `known`. With k culprits among
    n `changed` services it asks about k log n times.
    """
    ward: dict[str, Quarantined] = {}

    def add(good: View, names: Sequence[str], known: Exception | None) -> View:
        candidate = good.merged(view, names)
        refused = known or refusal(candidate)
        if refused is None:
            return candidate
        if len(names) == 1:
            ward[names[0]] = Quarantined(view.services.get(names[0]), str(refused))
            return good
        half = len(names) // 2
        return add(add(good, names[:half], None), names[half:], None)

    return add(base, changed, known), ward
