"""What the contract of providers needs of each of them: a cloud to try it on.

A bed is made once for all tests of a provider and `reset` before each. What it does itself it
does behind the provider's back: not through the code under test.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from secretary.core.scaling import ScaleGroup
from secretary.scaler.ports import Provider


class ProviderBed(Protocol):
    """`page` is how many machines a list's page holds; None where there are no pages."""

    page: int | None

    def group(self, name: str) -> ScaleGroup:
        """Return a group that this cloud can make machines for."""

    def gone(self, group: ScaleGroup) -> ScaleGroup:
        """Return the group with an image of which there is none."""

    def open(self, group: ScaleGroup) -> Provider:
        """Return a provider as the scaler has it. The test closes it."""

    def named(self, name: str) -> int:
        """Return how many machines of this name there are, whatever their tags."""

    def foreign(self, name: str) -> str:
        """Make a machine without a tag of ours and return its provider id."""

    def fill(self, group: ScaleGroup, count: int) -> None:
        """Make so many machines with the group's tag, cheaply. Not called where `page` is None."""

    def away(self) -> AbstractContextManager[None]:
        """While entered nobody answers: connections are refused or dropped unread."""

    def lossy(self) -> AbstractContextManager[None]:
        """While entered a request to create is carried out, and its answer is lost."""

    def busy(self, retry_after_s: int) -> AbstractContextManager[None]:
        """While entered whoever asks for anything is told to come back after so long."""

    def reset(self) -> None:
        """Remove all machines and end all faults."""
