"""One group of templates, from a view to proxies that work by it.

Compare, stage, check, swap, reload: nothing is touched before all of the group is staged and
checked. What is applied is remembered apart from what is written. When the check refuses, the
service whose change broke it is found and left as it was, and the rest goes through.
"""

import contextlib
import hashlib
import logging
import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from secretary.core.errors import CheckRefused, ReloadFailed, TemplateError
from secretary.renderer.files import FRAGMENT, Destination
from secretary.renderer.ports import Check, Reload, Runtime
from secretary.renderer.services import Service, View
from secretary.renderer.template import Template

_log = logging.getLogger(__name__)

MOST_SAID: Final = 300
_PASSING: Final = re.compile(
    r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |(?<=\]) +\d+#\d+:|(?<=\]) +\(\d+\) :", re.MULTILINE
)
"""What nginx and HAProxy say otherwise at each try: times and processes."""
_REFUSED: Final = (TemplateError, CheckRefused)
"""What may be the fault of one service's change."""


@dataclass(frozen=True, slots=True)
class Output:
    """A template, the file that is made of it, and the words of the command that checks it."""

    template: Template
    destination: Destination
    check_cmd: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """What was done: whether files were replaced, the proxy reloaded, servers changed by hand."""

    written: bool = False
    reloaded: bool = False
    runtime_changes: int = 0
    leaving: int = 0


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A service whose change broke the configuration: the change, and why."""

    change: Service | None
    reason: str


@dataclass(slots=True)
class _Staged:
    """What a view comes to: the texts, and the files that wait to be swapped in."""

    texts: list[bytes]
    files: list[tuple[Output, Path]] = field(default_factory=list)


class Publisher:
    """`publish` is for one thread; `quarantined` and `applied` may be read from any.

    `applied` maps destinations to the SHA-256 of what the proxy works by; it outlives us.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        *,
        check: Check,
        check_timeout_s: float,
        applied: MutableMapping[str, str],
        reload: Reload | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.outputs = outputs
        self.quarantined: dict[str, Quarantined] = {}
        self.applied = applied
        self._check = check
        self._check_timeout_s = check_timeout_s
        self._reload = reload
        self._runtime = runtime
        self._runtime_told = False
        self._good: View | None = None
        self._reported: dict[str, str] = {}

    def publish(self, view: View, now: datetime) -> Published:
        """Make the proxy work by `view`.

        Raises TemplateError, or a PublishError: then the proxy works as before, what could be
        written is written, and the call is to be made again.
        """
        view = self._without_quarantined(view)
        with contextlib.ExitStack() as stack:
            self._tell_runtime()
            staged = self._staged_best(view, now, stack)
            for output, file in staged.files:
                output.destination.swap(file)
            taken = self._take_up(staged.texts, written=bool(staged.files))
        return Published(bool(staged.files), *taken)

    @property
    def good(self) -> View | None:
        """The last view that went through; None before there is one."""
        return self._good

    def begin_with(self, good: View) -> None:
        """Go on from a view that went through before our time: what fails falls back to it."""
        self._good = self._good or good

    def retry_quarantined(self) -> None:
        """Give the changes that were refused another try: the world may have changed."""
        self._reported = {name: kept.reason for name, kept in self.quarantined.items()}
        self.quarantined = {}

    # Render, stage and check

    def _staged_best(self, view: View, now: datetime, stack: contextlib.ExitStack) -> _Staged:
        """Stage `view`, or what of it can be had."""
        try:
            staged = self._stage(view, now, stack)
        except _REFUSED as error:
            view = self._settled(view, now, error)
            staged = self._stage(view, now, stack)
        self._good = view
        return staged

    def _stage(
        self, view: View, now: datetime, stack: contextlib.ExitStack, *, everything: bool = False
    ) -> _Staged:
        """Render all, and stage and check what differs from what is written, or `everything`."""
        staged = _Staged([output.template.render(view, now).encode() for output in self.outputs])
        for output, text in zip(self.outputs, staged.texts, strict=True):
            if not everything and output.destination.read() == text:
                continue
            file = stack.enter_context(output.destination.staged(text))
            if output.check_cmd:
                self._checked(output, file)
            staged.files.append((output, file))
        return staged

    def _checked(self, output: Output, staged: Path) -> None:
        with contextlib.ExitStack() as stack:
            names, fragment = {"{staged}": str(staged)}, str(staged)
            if any("{wrapped}" in word for word in output.check_cmd):
                wrapped = stack.enter_context(output.destination.wrapped(staged))
                names["{wrapped}"] = str(wrapped)
                fragment = str(wrapped.with_name(FRAGMENT))
            words = [_filled(word, names) for word in output.check_cmd]
            said = self._check(words, self._check_timeout_s)
        if said is not None:
            for path in (fragment, *names.values()):
                said = said.replace(path, str(output.destination.path))
            said = " ".join(_PASSING.sub("", said).split())[:MOST_SAID]
            raise CheckRefused(f"{output.destination.path}: the check refuses it: {said}")

    # Quarantine

    def _without_quarantined(self, view: View) -> View:
        """Return `view` with the changes that were refused before left out."""
        for name, kept in list(self.quarantined.items()):
            if view.services.get(name) is not kept.change:
                del self.quarantined[name]  # it has changed since, so it is tried again
        if not self.quarantined:
            return view
        return view.merged(self._base(view), self.quarantined)

    def _base(self, view: View) -> View:
        """Return the last good view; before there is one, all services empty."""
        if self._good is not None:
            return self._good
        return View(0, 0, {name: Service(name) for name in view.services})

    def _settled(self, view: View, now: datetime, error: Exception) -> View:
        """Return the most of `view` that passes. Raises `error` when even the last good fails."""
        base = self._base(view)
        changed = base.changed(view)
        if not changed or self._refusal(base, now) is not None:
            raise error

        def settle(good: View, names: list[str], known: Exception | None) -> View:
            candidate = good.merged(view, names)
            refusal = known or self._refusal(candidate, now)
            if refusal is None:
                return candidate
            if len(names) == 1:
                self._quarantine(names[0], view, refusal)
                return good
            half = len(names) // 2
            return settle(settle(good, names[:half], None), names[half:], None)

        best = settle(base, changed, error)
        if self._good is None and self._would_empty(view):
            # Rather what stands there since before our time than a service without instances.
            self.quarantined = {}
            raise error
        return best

    def _would_empty(self, view: View) -> bool:
        """Whether a quarantine that falls back to nothing might take servers out of a file."""
        if not any(output.destination.read() for output in self.outputs):
            return False
        return any(len(view.services.get(name, ())) for name in self.quarantined)

    def _refusal(self, view: View, now: datetime) -> Exception | None:
        try:
            with contextlib.ExitStack() as stack:
                self._stage(view, now, stack, everything=True)
        except _REFUSED as error:
            return error
        return None

    def _quarantine(self, name: str, view: View, refusal: Exception) -> None:
        self.quarantined[name] = Quarantined(view.services.get(name), str(refusal))
        if self._reported.pop(name, None) != str(refusal):
            _log.error(
                "quarantined: its last change breaks the configuration; it stays as it was: %s",
                refusal,
                extra={"service": name},
            )

    # Take up

    def _take_up(self, texts: Sequence[bytes], *, written: bool) -> tuple[bool, int, int]:
        """Make the proxy work by what is written; say whether by reload, or how many servers."""
        digests = {
            str(output.destination.path): _digest(text)
            for output, text in zip(self.outputs, texts, strict=True)
        }
        # What was just written is not applied, whatever was applied before it.
        is_applied = not written and all(
            self.applied.get(path) == digest for path, digest in digests.items()
        )
        for path in digests:
            self.applied.pop(path, None)  # not known until we are through
        if self._runtime is not None:
            taken = self._reconcile(self._runtime, texts[0].decode())
        elif is_applied or self._reload is None:
            taken = False, 0, 0
        else:
            self._reload()
            taken = True, 0, 0
        self.applied.update(digests)
        return taken

    def _tell_runtime(self) -> None:
        """Tell a running proxy's other end, once, what it has loaded, where that is known."""
        if self._runtime is None or self._runtime_told:
            return
        (output,) = self.outputs
        there = output.destination.read()
        if there is not None and self._applied_is(output, there):
            self._runtime.loaded(there.decode(errors="replace"))
        self._runtime_told = True

    def _applied_is(self, output: Output, text: bytes) -> bool:
        return self.applied.get(str(output.destination.path)) == _digest(text)

    def _reconcile(self, runtime: Runtime, text: str) -> tuple[bool, int, int]:
        first = runtime.reconcile(text)
        if first.structure is None:
            return False, first.changes, first.leaving
        _log.info("reloading: %s", first.structure)
        if self._reload is None:
            raise ReloadFailed(f"{first.structure}, and there is no --reload")
        self._reload()
        runtime.loaded(text)
        again = runtime.reconcile(text)
        if again.structure is not None:
            raise ReloadFailed(f"after a reload still: {again.structure}")
        return True, again.changes, again.leaving


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _filled(word: str, names: dict[str, str]) -> str:
    for name, path in names.items():
        word = word.replace(name, path)
    return word
