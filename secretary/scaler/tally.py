"""What a turn's report comes to: how many serve, what they carry, whose records are kept here."""

import logging
import time
from collections.abc import Sequence

from secretary.core.errors import CloudError, MeterError
from secretary.core.machine import Machine, MachineState
from secretary.scaler import wishes
from secretary.scaler.policy import Machines
from secretary.scaler.ports import Meter
from secretary.scaler.report import Report
from secretary.scaler.samples import Sample

_log = logging.getLogger(__name__)


def counted(report: Report) -> Machines:
    """Return how many serve and how many are to."""
    alive = wishes.alive(report.stock)
    serving = sum(machine.state is MachineState.SERVING for machine in alive)
    unknown = len(report.stock.rejected) + report.strangers
    return Machines(serving, len(alive) - serving, unknown)


def measured(meter: Meter, report: Report) -> list[Sample]:
    """Return what can be measured of those that serve; nothing where nothing can be."""
    serving = [m for m in wishes.alive(report.stock) if m.state is MachineState.SERVING]
    if not serving:
        return []
    try:
        return [meter.measure(serving, time.monotonic())]
    except (CloudError, MeterError) as error:
        _log.warning("not measured: %s", error)
        return []


def registered(report: Report) -> Sequence[Machine]:
    """Return the machines that a secretary here is to keep the records of."""
    gone = (MachineState.REQUESTED, MachineState.DELETING, MachineState.FAILED)
    machines = (machine for machine, _ in report.stock.machines.values())
    return [m for m in machines if m.address is not None and (m.is_left or m.state not in gone)]
