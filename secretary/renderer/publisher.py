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
from secretary.renderer.quarantine import Ward, held_back, settle
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

    @property
    def is_something(self) -> bool:
        return self.written or self.reloaded or self.runtime_changes > 0

    def __str__(self) -> str:
        said = ["written"] if self.written else []
        if self.reloaded:
            said.append("reloaded")
        if self.runtime_changes:
            said.append(f"{self.runtime_changes} servers changed while it runs")
        return ", ".join(said) or "unchanged"


@dataclass(slots=True)
class _Staged:
    """What a view comes to: the texts, and the files that wait to be swapped in."""

    texts: Sequence[bytes]
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
        self.quarantined: Ward = {}
        self.applied = applied
        self._check = check
        self._check_timeout_s = check_timeout_s
        self._reload = reload
        self._runtime = runtime
        self._runtime_told = False
        self._good: View | None = None
        self._retrying = False
        self._reported: dict[str, str] = {}

    def publish(self, view: View, now: datetime) -> Published:
        """Make the proxy work by `view`.

        Raises TemplateError, or a PublishError: then the proxy works as before, what could be
        written is written, and the call is to be made again.
        """
        with contextlib.ExitStack() as stack:
            self._tell_runtime()
            staged, self._good, ward = self._staged_best(view, now, stack)
            self._report(ward)
            self.quarantined = {**self.quarantined, **ward}
            for output, file in staged.files:
                output.destination.swap(file)
            taken = self._take_up(staged.texts, written=bool(staged.files))
        # Only now: until it is through, nobody may be told that less is left out.
        self.quarantined, self._retrying = ward, False
        return Published(bool(staged.files), *taken)

    @property
    def good(self) -> View | None:
        """The last view that went through; None before there is one."""
        return self._good

    def begin_with(self, good: View) -> None:
        """Go on from a view that went through before our time: what fails falls back to it."""
        self._good = self._good or good

    def retry_quarantined(self) -> None:
        """At the next publication, try again what is in quarantine: the world may have changed."""
        self._retrying = True

    # Render, stage and check

    def _staged_best(
        self, view: View, now: datetime, stack: contextlib.ExitStack
    ) -> tuple[_Staged, View, Ward]:
        """Stage `view`, or what of it can be had; return what is left out of it."""
        ward: Ward = {}
        if not self._retrying:
            view, ward = held_back(view, self._base(view), self.quarantined)
        try:
            return self._stage(self._render(view, now), stack), view, ward
        except _REFUSED as error:
            view, more = self._settled(view, now, error)
            return self._stage(self._render(view, now), stack), view, {**ward, **more}

    def _render(self, view: View, now: datetime) -> list[bytes]:
        return [output.template.render(view, now).encode() for output in self.outputs]

    def _stage(
        self, texts: Sequence[bytes], stack: contextlib.ExitStack, *, everything: bool = False
    ) -> _Staged:
        """Stage and check what differs from what is written, or `everything`."""
        staged = _Staged(texts)
        for output, text in zip(self.outputs, texts, strict=True):
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

    # What to do with what is refused

    def _base(self, view: View) -> View:
        """Return the last good view; before there is one, all services empty."""
        if self._good is not None:
            return self._good
        return View(0, 0, {name: Service(name) for name in view.services})

    def _settled(self, view: View, now: datetime, error: Exception) -> tuple[View, Ward]:
        """Return the most of `view` that passes. Raises `error` when even the last good fails."""
        said: dict[tuple[bytes, ...], Exception | None] = {}

        def refusal(view: View) -> Exception | None:
            try:
                texts = tuple(self._render(view, now))
            except TemplateError as refused:
                return refused
            if texts not in said:  # a service that no template looks at changes no text
                said[texts] = self._refusal(texts)
            return said[texts]

        base = self._base(view)
        changed = base.changed(view)
        if not changed or refusal(base) is not None:
            raise error
        best, ward = settle(view, base, changed, refusal, error)
        if self._good is None and self._would_empty(view, ward):
            # Rather what stands there since before our time than a service without instances.
            raise error
        return best, ward

    def _would_empty(self, view: View, ward: Ward) -> bool:
        """Whether a quarantine that falls back to nothing might take servers out of a file."""
        if not any(output.destination.read() for output in self.outputs):
            return False
        return any(len(view.services.get(name, ())) for name in ward)

    def _refusal(self, texts: Sequence[bytes]) -> Exception | None:
        try:
            with contextlib.ExitStack() as stack:
                self._stage(texts, stack, everything=True)
        except CheckRefused as error:
            return error
        return None

    def _report(self, ward: Ward) -> None:
        for name in sorted(ward):
            if self._reported.get(name) != ward[name].reason:
                _log.error(
                    "quarantined: its last change breaks the configuration; it stays as it was: %s",
                    ward[name].reason,
                    extra={"service": name},
                )
        self._reported = {name: kept.reason for name, kept in ward.items()}

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
