"""Which containers a roster minds, and whom to ask for because of an event: decided, not done."""

from collections.abc import Iterator

from secretary.agent.discovery.docker_events import HEALTH, Event
from secretary.agent.discovery.table import Table
from secretary.core.container import answers

_APPEARING = ("start", "unpause", "rename")
"""After these it may be one that was not known, or not wanted, so far."""


class Wanted:
    """All that run while `refs` is None; otherwise those names, ids or beginnings of ids alone.

    What a name means is Docker's to say: it is asked by the ref, and told to `found` what it was.
    """

    def __init__(self) -> None:
        self.refs: frozenset[str] | None = None
        self._found: dict[str, str] = {}

    def follow(self, refs: frozenset[str] | None) -> None:
        self.refs = refs
        self._found = {ref: id_ for ref, id_ in self._found.items() if ref in (refs or ())}

    def found(self, ref: str, id_: str | None) -> None:
        """Remember whom `ref` means; None when there is none."""
        if id_ is None:
            self._found.pop(ref, None)
        else:
            self._found[ref] = id_

    @property
    def ids(self) -> set[str]:
        """Whom the refs meant when they were last asked for."""
        return set(self._found.values())

    def asked_as(self, id_: str) -> list[str]:
        """Return how a container is asked for."""
        if self.refs is None:
            return [id_]
        return [ref for ref, found in self._found.items() if found == id_]

    def concerned(self, event: Event, table: Table) -> Iterator[str]:
        """Yield whom to ask for because of `event`: refs, or ids while all are wanted."""
        if event.action in (HEALTH, "kill"):
            return
        id_ = event.container
        sharing = sorted(table.sharing(id_))
        is_about_it = not event.is_down and (id_ in table or event.action in _APPEARING)
        if self.refs is None:
            yield from [id_, *sharing] if is_about_it else sharing
            return
        touched = {id_, *sharing} if is_about_it else set(sharing)
        for ref in sorted(self.refs):
            is_meant = is_about_it and answers(event.name, id_, ref)
            if is_meant or self._found.get(ref) in touched:
                yield ref
