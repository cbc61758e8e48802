"""One of DigitalOcean's reserved addresses: which droplet has it, and how another gets it.

Makes and deletes none, and takes none away without giving it to another. What DigitalOcean has
taken on is waited for; what it may have taken on is looked for before it is asked for again.
"""

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from secretary.core.errors import CloudAway, CloudBusy, CloudRefused, SettingsError
from secretary.scaler.providers import digitalocean_answers as answers
from secretary.scaler.providers import digitalocean_catalogue as catalogue
from secretary.scaler.providers.digitalocean_access import open_door
from secretary.scaler.providers.digitalocean_token import FILE_VARIABLE, Token

if TYPE_CHECKING:
    from secretary.scaler.providers.digitalocean_door import Asking, Door

ONE_S: Final = 5.0
"""For one question: a reserved address is moved because users wait."""
LOOK_S: Final = 0.5
"""Between two questions about what goes on."""


@dataclass(frozen=True, slots=True)
class Held:
    """Who has the address, if anybody, and whether an action on it goes on."""

    droplet_id: int | None
    droplet_name: str
    is_locked: bool


@dataclass(frozen=True, slots=True)
class Assigned:
    """`changed` is False where the droplet had it already."""

    changed: bool


def open_reserved(
    address: str, environ: Mapping[str, str], token_file: str | None = None
) -> "ReservedAddress":
    """Return the address. Asks nothing yet.

    The token is that of `token_file`, or else of the environment; nobody else may read its file.
    SettingsError for an address, token or URL that will not do; CloudRefused without pydo.
    """
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise SettingsError(f"{address}: is no IPv4 address, as DigitalOcean reserves") from error
    if token_file is None:
        token = Token(environ, is_private=True)
    else:
        token = Token({FILE_VARIABLE: token_file}, is_private=True, file_option="--token-file")
    return ReservedAddress(address, open_door(environ, token))


class ReservedAddress:
    """An address that exists; each operation has a deadline for all that it asks."""

    def __init__(
        self,
        address: str,
        door: "Door",
        one_s: float = ONE_S,
        look_s: float = LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._door = door
        self._one_s = one_s
        self._look_s = look_s
        self._clock = clock
        self._wait = threading.Event().wait

    def held(self) -> Held:
        """Ask who has it. CloudError."""
        return self._held(self._door.within(self._one_s))

    def assign(self, droplet_id: int, timeout_s: float) -> Assigned:
        """Give it to the droplet, and return when the droplet has it.

        CloudRefused when somebody must act; CloudBusy when the pause that is asked for takes
        longer than there is time; CloudAway when the time is up.
        """
        end = self._clock() + timeout_s
        move = _Move(droplet_id)
        while True:
            pause_s = self._look_s
            left_s = max(end - self._clock(), 0.0)
            try:
                if self._is_made(self._door.within(min(left_s, self._one_s)), move):
                    return Assigned(move.is_begun)
            except CloudBusy as error:
                if self._clock() + error.retry_after_s >= end:
                    raise
                move.trouble, pause_s = str(error), error.retry_after_s
            except CloudAway as error:
                # A question that the end has cut short says less than what was in the way before.
                if self._clock() < end or not move.trouble:
                    move.trouble = str(error)
            if self._clock() + pause_s >= end:
                raise CloudAway(
                    f"DigitalOcean: {self._address} is not at droplet {droplet_id} after"
                    f" {timeout_s:g} s: {move.trouble}"
                )
            self._wait(pause_s)

    def close(self) -> None:
        self._door.close()

    def _is_made(self, ask: "Asking", move: "_Move") -> bool:
        """Take the move's next step; say whether it was the last."""
        if move.action is not None:
            status = self._status(ask, move.action)
            if status == "completed":
                return True
            if status == "in-progress":
                move.trouble = f"action {move.action} is still going on"
                return False
            move.trouble = f"action {move.action} is {status}"
            move.action = None
        held = self._held(ask)
        if held.is_locked:
            move.trouble = "another action on it goes on"
        elif held.droplet_id == move.droplet_id:
            return True
        else:
            # It may be on its way all the same, when the last answer did not come. To give it
            # to the same droplet once more is harmless.
            move.is_begun = True
            move.action = self._begin(ask, move.droplet_id)
            move.trouble = f"action {move.action} has just begun"
        return False

    def _held(self, ask: "Asking") -> Held:
        try:
            answer = ask(lambda api, **how: api.reserved_ips.get(self._address, **how))
        except answers.NotThere as error:
            raise CloudRefused(
                f"{error}; {self._address} is not reserved for the account of this token"
            ) from error
        found = catalogue.read(answers.reserved, answer)
        if found.droplet is msgspec.UNSET:
            raise CloudRefused(
                f"DigitalOcean does not say who has {self._address}: the token lacks the scope"
                " droplet:read"
            )
        if found.droplet is None:
            return Held(None, "", found.locked)
        return Held(found.droplet.id, found.droplet.name, found.locked)

    def _begin(self, ask: "Asking", droplet_id: int) -> int:
        wanted = {"type": "assign", "droplet_id": droplet_id}

        def post(api: Any, **how: Any) -> Any:
            return api.reserved_ips_actions.post(self._address, wanted, **how)

        try:
            return catalogue.read(answers.action, ask(post)).id
        except CloudRefused as error:
            raise CloudRefused(f"{error} ({self._address} to droplet {droplet_id})") from error

    def _status(self, ask: "Asking", action: int) -> str:
        def get(api: Any, **how: Any) -> Any:
            return api.reserved_ips_actions.get(self._address, action, **how)

        try:
            return catalogue.read(answers.action, ask(get)).status
        except answers.NotThere:
            # So it is with addresses that a customer has brought along, though they do move.
            return "not to be found"


@dataclass(slots=True)
class _Move:
    """How far it is, and what was in the way last."""

    droplet_id: int
    action: int | None = None
    is_begun: bool = False
    trouble: str = ""
