"""The scaler, wired: the only place where its loops, its wings, the store and the runtime meet."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from secretary.core.errors import SecretaryError, SettingsError
from secretary.core.scaling import ScaleGroup, ScaleSettings
from secretary.core.values import printable
from secretary.runtime import logs
from secretary.runtime.daemon import Daemon
from secretary.runtime.signals import Signals
from secretary.scaler.inquiry import LOCK_TTL_S, opened
from secretary.scaler.loop import JOIN_S, GroupLoop
from secretary.scaler.meters import open_meter
from secretary.scaler.pages import ScalerPages
from secretary.scaler.policy import too_close
from secretary.scaler.registrar import Registrar
from secretary.store.etcd import check_files

_log = logging.getLogger(__name__)

REGISTERED_TTL_S = 2 * LOCK_TTL_S
"""Of the records that are kept here: they outlive us until another scaler acts."""


def run(settings: ScaleSettings, reload: Callable[[], ScaleSettings]) -> int:
    """Follow every group's policy until SIGTERM or SIGINT; return the exit status.

    SIGHUP calls `reload` and goes on with what it returns; when it raises SettingsError the
    running settings stay.
    """
    logs.configure(settings.log, sys.stderr)
    with Signals() as signals:
        return _Scaler(settings, reload).run(signals)


class _Scaler:
    """One run, in the main thread."""

    def __init__(self, settings: ScaleSettings, reload: Callable[[], ScaleSettings]) -> None:
        self._settings = settings
        self._reload = reload
        self._loops = _loops(settings)
        self._pages = ScalerPages(self._loops)
        self._daemon = Daemon(self._pages, settings.status)

    def run(self, signals: Signals) -> int:
        for loop in self._loops:
            loop.start()
        self._daemon.run(signals, self._follow)
        self._daemon.stopping(JOIN_S)
        ended = self._stop()
        self._daemon.close()
        _log.info("stopped")
        return 0 if ended else 1

    def _stop(self) -> bool:
        for loop in self._loops:
            loop.stop()
        ended = [loop.join() for loop in self._loops]
        return all(ended)

    def _follow(self) -> None:
        """Take up the settings as they are now: all of them, or none."""
        try:
            settings = self._reload()
            check_files(settings.etcd)
            loops = _loops(settings)
            try:
                self._daemon.move(settings.status)
            except SettingsError:
                for loop in loops:
                    loop.drop()
                raise
        except SecretaryError as error:
            _log.error("not reloaded, the running settings stay: %s", error)
            return
        logs.configure(settings.log, sys.stderr)
        self._stop()
        self._settings = settings
        self._loops[:] = loops
        for loop in self._loops:
            loop.start()
        _log.info("reloaded")


def _loops(settings: ScaleSettings) -> list[GroupLoop]:
    """Return a loop for each group, none of them started. SettingsError."""
    with ExitStack() as undo:
        loops: list[GroupLoop] = []
        for group in settings.groups:
            stack = undo.enter_context(ExitStack())
            loops.append(_loop(settings, group, stack, is_first=not loops))
        undo.pop_all()
    return loops


def _loop(
    settings: ScaleSettings, group: ScaleGroup, stack: ExitStack, *, is_first: bool
) -> GroupLoop:
    if group.policy is not None and (warning := too_close(group.policy)) is not None:
        _log.warning("%s: %s", group.name, warning)
    shop = stack.enter_context(opened(settings, group, os.environ))
    meter = open_meter(group, shop.provider)
    stack.callback(meter.close)
    end = stack.pop_all().close
    registrar = partial(
        Registrar, group, settings.etcd, settings.prefix, settings.log, REGISTERED_TTL_S
    )
    wanted = registrar if group.register else None
    begin = partial(_tell_of_others, shop.groups, settings) if is_first else None
    return GroupLoop(group, shop.engine, shop.desk, meter, wanted, begin, end)


def _tell_of_others(groups: Callable[[], frozenset[str]], settings: ScaleSettings) -> None:
    """Say whose machines nobody here looks after: perhaps a group was renamed, or taken out."""
    for name in sorted(groups() - {group.name for group in settings.groups}):
        _log.warning("%s: has machines in etcd, and is no group of the file", printable(name))
