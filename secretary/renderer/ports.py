"""Where the renderer's loop meets its wings and the directory: the shapes both sides agree on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from secretary.core.settings import GroupSettings


class Check(Protocol):
    """Runs the command that checks a configuration."""

    def __call__(self, arguments: Sequence[str], timeout_s: float, /) -> str | None:
        """Return None when it says that all is well, else what it says.

        Raises PublishError when it cannot be run or does not end in time.
        """
        ...


class Reload(Protocol):
    """Makes the proxy take up what is written in its configuration's place."""

    def __call__(self) -> None:
        """Return once the proxy works by the new configuration and no longer by the old.

        Raises ReloadFailed, by a deadline of its own.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a look at the running proxy came to.

    `changes` counts the servers that were added, removed or changed. `leaving` counts those that
    take no new requests but still have connections, and are to be removed at a later look.
    `structure` says in one line why the running proxy cannot be brought to the configuration
    without a reload; None when it now works by it.
    """

    changes: int
    leaving: int = 0
    structure: str | None = None


class Runtime(Protocol):
    """A proxy whose servers can be changed while it runs."""

    def loaded(self, config: str) -> None:
        """Learn that the proxy has just loaded `config`: to be told after each reload.

        And at the start, when what it works by is known. Until then only a reload can do anything.
        """
        ...

    def reconcile(self, config: str) -> Reconciled:
        """Compare the running proxy with `config` and bring its servers to it.

        What the proxy refuses is told as a `structure` that a reload puts right; some servers may
        have been changed by then. Raises ReloadFailed when the proxy does not answer.
        """
        ...


class Proxies(Protocol):
    """Makes what a group needs of its proxy."""

    def check(self, arguments: Sequence[str], timeout_s: float, /) -> str | None: ...

    def reload(self, group: GroupSettings) -> Reload | None: ...

    def runtime(self, group: GroupSettings) -> Runtime | None: ...
