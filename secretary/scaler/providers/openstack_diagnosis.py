"""Nova's diagnostics of several servers at once."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from secretary.core.errors import CloudAway
from secretary.scaler.providers import openstack_catalogue as catalogue
from secretary.scaler.providers.openstack_answers import Core, Diagnostics

if TYPE_CHECKING:
    from secretary.scaler.providers.openstack_door import Asking

SINCE: Final = (2, 48)
_AT_ONCE: Final = 8
_NOT_TOLD: Final = (400, 403, 404, 409, 501)
"""Of a server that is not there or does not run, by a hypervisor that cannot, or to this user."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    cores: Mapping[str, Sequence[Core]]
    """Of those servers that are known of."""
    is_denied: bool
    """Whether Nova's policy keeps diagnostics from this user."""


def diagnosed(cloud: "Asking", ids: Sequence[str]) -> Diagnosis:
    """Ask for each server. A host that does not answer hides only its own servers.

    CloudAway when none at all is answered, CloudBusy.
    """
    known: dict[str, Sequence[Core]] = {}
    denied: list[str] = []
    away: list[CloudAway] = []

    def ask(id_: str) -> None:
        if denied:
            return
        path = f"{catalogue.path_of(id_)}/diagnostics"
        try:
            answer = cloud.ask("GET", path, version=SINCE, accept=_NOT_TOLD)
            if answer.status == 403:
                denied.append(id_)
            if answer.status == 200:
                known[id_] = answer.read(Diagnostics).cpu_details
        except CloudAway as error:
            away.append(error)

    asked = [id_ for id_ in ids if catalogue.is_id(id_)]
    if asked:
        with ThreadPoolExecutor(min(len(asked), _AT_ONCE), "diagnostics") as threads:
            list(threads.map(ask, asked))
    if away and len(away) == len(asked):
        raise away[0]
    return Diagnosis(known, bool(denied))
