"""DigitalOcean as a provider: a machine is a droplet, found by its group's tag.

Makes one droplet a call and never asks for it twice. Names are unique here although DigitalOcean
would take one twice. Touches nothing but droplets and their group's tag: no volume, no firewall,
no reserved IP.
"""

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from secretary.core.errors import CloudAway, CloudRefused
from secretary.core.scaling import ScaleGroup
from secretary.scaler.ports import Provider, Seen
from secretary.scaler.providers import digitalocean_answers as answers
from secretary.scaler.providers import digitalocean_catalogue as catalogue
from secretary.scaler.providers import digitalocean_order as orders
from secretary.scaler.providers.digitalocean_access import open_door
from secretary.scaler.providers.digitalocean_load import Load
from secretary.scaler.providers.digitalocean_token import Token
from secretary.scaler.providers.user_data import user_data

if TYPE_CHECKING:
    from secretary.scaler.providers.digitalocean_door import Asking, Door

_LAG_S: Final = 60.0
"""After so long a list by tag is trusted to show what has been tagged."""
_LOAD_OVER_S: Final = 120


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an operation may take, by how many questions it is."""

    one_s: float = 10.0
    several_s: float = 30.0
    """All pages together."""
    create_s: float = 30.0
    """For the question that makes a droplet; what it needs to know is asked before."""


def open_digitalocean(group: ScaleGroup, environ: Mapping[str, str]) -> Provider:
    """Return the provider of this group. Asks nothing yet.

    SettingsError for a group that will not do, or a token or URL; CloudRefused without pydo.
    """
    orders.check(group)
    return DigitalOcean(group, open_door(environ, Token(environ)))


class DigitalOcean:
    """The droplets of one group."""

    def __init__(
        self,
        group: ScaleGroup,
        door: "Door",
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._group = group
        self._door = door
        self._patience = patience
        self._clock = clock
        self._wall_clock = wall_clock
        self._tag = orders.tag_of(group)
        self._load = Load(clock)
        self._tagged: dict[str, float] = {}

    def create(self, name: str) -> Seen:
        """Ask for one. What the group names is looked up first, which changes nothing."""
        given = user_data(self._group, name, at_most=64 * 1024)
        ask = self._door.within(self._patience.several_s)
        if self._named(ask, name):
            raise CloudRefused(f"DigitalOcean has a droplet named {name} already; none was made")
        wanted = orders.order(self._group, name, *catalogue.look_up(ask, self._group.machine))
        if given is not None:
            wanted["user_data"] = given
        ask = self._door.within(self._patience.create_s)
        try:
            answer = ask(lambda api, **how: api.droplets.create(wanted, **how))
        except CloudRefused as error:
            # Its own words do not say which image or size it does not know.
            raise CloudRefused(f"{error} ({orders.words(self._group)})") from error
        made = self._seen(catalogue.read(answers.droplet, answer))
        self._tagged[made.provider_id] = self._clock()
        return made

    def machines(self) -> Sequence[Seen]:
        ask = self._door.within(self._patience.several_s)

        def page(api: Any, **how: Any) -> Any:
            return api.droplets.list(tag_name=self._tag, **how)

        found = catalogue.pages(ask, "droplets", answers.Droplet, page)
        # Pages are not of one moment: one may repeat the end of another.
        listed = {str(each.id): self._seen(each) for each in found}
        return [*listed.values(), *self._not_listed_yet(ask, listed)]

    def delete(self, provider_id: str) -> bool:
        self._tagged.pop(provider_id, None)
        ask = self._door.within(self._patience.one_s)
        return orders.is_id(provider_id) and _is_there(
            lambda: ask(lambda api, **how: api.droplets.destroy(int(provider_id), **how))
        )

    def find(self, id_or_name: str) -> Seen | None:
        ask = self._door.within(self._patience.several_s)
        if (found := self._get(ask, id_or_name)) is not None:
            return self._seen(found)
        named = self._named(ask, id_or_name)
        return self._seen(named[0]) if named else None

    def tag(self, provider_id: str) -> None:
        ask = self._door.within(self._patience.several_s)

        def is_assigned() -> bool:
            body = _resource(provider_id)
            return _is_there(
                lambda: ask(lambda api, **how: api.tags.assign_resources(self._tag, body, **how))
            )

        if not is_assigned():  # the tag or the droplet is not there
            if self._get(ask, provider_id) is None:
                raise CloudRefused(f"DigitalOcean has no droplet {provider_id} to be tagged")
            ask(lambda api, **how: api.tags.create({"name": self._tag}, **how))
            if not is_assigned():
                raise CloudAway(f"DigitalOcean does not yet have the tag {self._tag}, just made")
        self._tagged[provider_id] = self._clock()

    def untag(self, provider_id: str) -> None:
        self._tagged.pop(provider_id, None)
        ask, body = self._door.within(self._patience.one_s), _resource(provider_id)
        _is_there(
            lambda: ask(lambda api, **how: api.tags.unassign_resources(self._tag, body, **how))
        )

    def cpu(self, provider_ids: Sequence[str]) -> Mapping[str, float]:
        ask = self._door.within(self._patience.several_s)
        return self._load.of(provider_ids, lambda id_: self._busy(ask, id_))

    def close(self) -> None:
        self._door.close()

    def _get(self, ask: "Asking", id_: str) -> answers.Droplet | None:
        if not orders.is_id(id_):
            return None
        try:
            answer = ask(lambda api, **how: api.droplets.get(int(id_), **how))
        except answers.NotThere:
            return None
        return catalogue.read(answers.droplet, answer)

    def _named(self, ask: "Asking", name: str) -> list[answers.Droplet]:
        """Return those of this name, whatever its case, the oldest first."""

        def page(api: Any, **how: Any) -> Any:
            return api.droplets.list(name=name, **how)

        found = catalogue.pages(ask, "droplets", answers.Droplet, page)
        same = [each for each in found if each.name.lower() == name.lower()]
        return sorted(same, key=lambda each: (each.created_at, each.id))

    def _not_listed_yet(self, ask: "Asking", listed: Container[str]) -> Iterator[Seen]:
        """Yield what was given the tag just now: lists by tag show it a moment later."""
        for id_, at in list(self._tagged.items()):
            if self._clock() - at > _LAG_S:
                self._tagged.pop(id_, None)
            elif id_ not in listed and (found := self._get(ask, id_)) is not None:
                yield self._seen(found)

    def _seen(self, droplet: answers.Droplet) -> Seen:
        return catalogue.read(droplet.seen, self._group.machine.network)

    def _busy(self, ask: "Asking", id_: str) -> float | None:
        if not orders.is_id(id_):
            return None
        now = int(self._wall_clock())
        span = {"start": str(now - _LOAD_OVER_S), "end": str(now)}

        def cpu(api: Any, **how: Any) -> Any:
            return api.monitoring.get_droplet_cpu_metrics(host_id=id_, **span, **how)

        try:
            answer = ask(cpu)
        except answers.NotThere:
            return None
        return catalogue.read(answers.busy_percent, answer)


def _is_there(asking: Callable[[], Any]) -> bool:
    try:
        asking()
    except answers.NotThere:
        return False
    return True


def _resource(provider_id: str) -> dict[str, Any]:
    return {"resources": [{"resource_id": provider_id, "resource_type": "droplet"}]}
