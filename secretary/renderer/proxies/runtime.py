"""A running haproxy's servers, changed through its admin socket (2.6 or later).

Each time it looks, plans by what it saw, tells, and looks again. Remembers only what haproxy does
not tell: the structure that it has loaded, and the arguments its servers were given. Starts no
reload and reads no file: that is the publisher's.
"""

import select
import time
from collections.abc import Sequence
from typing import Final

from secretary.core.errors import ReloadFailed
from secretary.core.values import printable
from secretary.renderer.haproxy import Config, Words, parse
from secretary.renderer.haproxy_commands import (
    Add,
    Change,
    Enable,
    Key,
    Remove,
    Replace,
    is_busy,
    is_refusal,
)
from secretary.renderer.haproxy_plan import Plan, plan, read_state
from secretary.renderer.ports import Reconciled
from secretary.renderer.proxies.admin_socket import AdminSocket

_IDLE_S: Final = (0.01, 0.04)
"""Idle connections of a server in maintenance are closed within milliseconds, by other threads."""
_OLD_S: Final = 0.05
_LOOK: Final = ("show info", "show backend", "show servers state")


class _Refused(Exception):
    """haproxy does not do it: the reason for a reload."""


class _Stopping(Exception):
    """A process answered that a reload has replaced."""


class HaproxyRuntime:
    """Brings the servers of the haproxy at `socket_path` to a configuration.

    `timeout_s` is how long haproxy may say nothing. Of backends that only it has, which may come
    from another file, nothing is said or changed.
    """

    def __init__(self, socket_path: str, timeout_s: float = 2.0) -> None:
        self._path = socket_path
        self._timeout_s = timeout_s
        self._loaded: Words | None = None
        self._given: dict[Key, Words] = {}

    def loaded(self, config: str) -> None:
        """Learn that the running haproxy has read this, and nothing else."""
        parsed = parse(config)
        self._loaded = parsed.structure
        self._given = {
            (backend, name): server.arguments
            for backend, servers in parsed.backends.items()
            for name, server in servers.items()
        }

    def reconcile(self, config: str) -> Reconciled:
        """Bring the servers to `config`, or say why only a reload can. May change some before.

        Raises ReloadFailed when haproxy does not answer, by `timeout_s` after its last word.
        """
        wanted = parse(config)
        if self._loaded is None:
            return Reconciled(0, structure="it is not known which configuration haproxy has loaded")
        if (difference := wanted.changed_since(self._loaded)) is not None:
            return Reconciled(0, structure=difference)
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                with AdminSocket(self._path, self._timeout_s) as haproxy:
                    return self._bring(haproxy, wanted)
            except _Stopping:
                if time.monotonic() > until:
                    raise ReloadFailed(
                        f"haproxy's socket {self._path}: a process that is stopping answers there;"
                        " has its reload, or its restart, failed?"
                    ) from None
                _pause(_OLD_S)

    def _bring(self, haproxy: AdminSocket, wanted: Config) -> Reconciled:
        done: set[Key] = set()
        try:
            steps = self._plan(haproxy, wanted)
            leaving = self._carry_out(haproxy, steps, done)
            if done:
                steps = self._plan(haproxy, wanted)
                if steps.first is not None:
                    raise _Refused(f"haproxy does not keep {'/'.join(steps.first)} as it was told")
        except _Refused as refused:
            return Reconciled(len(done), structure=printable(str(refused)))
        return Reconciled(len(done), leaving)

    def _plan(self, haproxy: AdminSocket, wanted: Config) -> Plan:
        info, backends, state = haproxy.ask(_LOOK)
        if "\nStopping: 1" in info:
            raise _Stopping
        try:
            running = read_state(state, wanted.backends)
        except ValueError:
            raise ReloadFailed(
                f"haproxy's socket {self._path}: `{_LOOK[-1]}` is answered with"
                f' "{printable(state[:80])}"; is it the admin socket of a haproxy 2.6 or later?'
            ) from None
        if missing := wanted.proxies - set(backends.split("\n")):
            raise _Refused(f"the running haproxy does not have {min(missing)}")
        steps = plan(wanted, running, self._given)
        if steps.reload is not None:
            raise _Refused(steps.reload)
        return steps

    def _carry_out(self, haproxy: AdminSocket, steps: Plan, done: set[Key]) -> int:
        """Return how many servers could not be deleted yet. `done` gets those that were changed."""
        self._tell(haproxy, (*steps.additions, *steps.changes), done)
        for step in steps.replacements:  # one by one, so that the others can take its requests
            self._replace(haproxy, step, done)
        return len(self._remove(haproxy, steps.removals, done))

    def _tell(
        self, haproxy: AdminSocket, steps: Sequence[Add | Change | Remove], done: set[Key]
    ) -> None:
        told = [(step, line) for step in steps for line in step.lines]
        answers = haproxy.ask([line for _, line in told])
        refusals = []
        for (step, line), answer in zip(told, answers, strict=True):
            if is_refusal(line, answer):
                refusals.append(_refused(line, answer))
                continue
            done.add(step.key)
            if isinstance(step, Add):
                self._given[step.key] = step.server.arguments
        if refusals:
            raise refusals[0]

    def _replace(self, haproxy: AdminSocket, step: Replace, done: set[Key]) -> None:
        if self._remove(haproxy, (step.removal,), done):
            if not step.removal.maintained:  # it was in use, and stays so until the reload
                haproxy.ask(Enable(step.key).lines)
            name = "/".join(step.key)
            raise _Refused(f"{name} has other arguments, and connections that keep it from going")
        self._tell(haproxy, (step.addition,), done)

    def _remove(
        self, haproxy: AdminSocket, steps: Sequence[Remove], done: set[Key]
    ) -> list[Remove]:
        """Return those that still have connections; they take no new ones."""
        self._tell(haproxy, steps, done)
        trying, leaving = list(steps), list[Remove]()
        for pause_s in (0.0, *_IDLE_S):
            _pause(pause_s if trying else 0.0)
            answers = haproxy.ask([step.deletion for step in trying])
            busy: list[Remove] = []
            for step, answer in zip(trying, answers, strict=True):
                if is_busy(answer):
                    # What was in maintenance before has had the time to close idle connections.
                    (leaving if step.maintained else busy).append(step)
                elif is_refusal(step.deletion, answer):
                    raise _refused(step.deletion, answer)
                else:
                    done.add(step.key)
                    self._given.pop(step.key, None)
            trying = busy
        return leaving + trying


def _refused(line: str, answer: str) -> _Refused:
    said = " ".join(answer.split()) or "no answer"
    if said == "Permission denied":
        said += "; its line of `stats socket` needs `level admin`"
    return _Refused(f"haproxy refuses `{' '.join(line.split(' ')[:3])}`: {said}")


def _pause(pause_s: float) -> None:
    if pause_s:
        select.poll().poll(pause_s * 1000)
