"""What the scaler says of itself to those who watch it: its groups, and their machines."""

import time
from collections.abc import Iterator, Sequence

import secretary
from secretary.core.machine import MachineState
from secretary.core.metric import Family, Kind, Sample
from secretary.core.pages import Verdict
from secretary.scaler.loop import LONGEST_TURN_S, GroupLoop


class ScalerPages:
    """Reads the loops as they stand, and waits for none."""

    def __init__(self, loops: Sequence[GroupLoop]) -> None:
        self._loops = loops

    def live(self) -> Verdict:
        now_s = time.monotonic()
        hanging = [each.group.name for each in self._loops if now_s - each.beat_s > LONGEST_TURN_S]
        if hanging:
            return Verdict(False, f"not turning: {', '.join(hanging)}")
        return Verdict(True, "every group turns")

    def ready(self) -> Verdict:
        """Whether every group could be looked at, and none has an alarm."""
        for each in self._loops:
            if each.trouble is not None:
                return Verdict(False, f"{each.group.name}: {each.trouble}")
            if each.holds and each.report.alarms:
                return Verdict(False, each.report.alarms[0])
        return Verdict(True, "all groups are as they are to be")

    def line(self) -> str:
        """Return the whole in a few words, for `systemctl status`."""
        return "; ".join(map(_words, self._loops)) or "no groups"

    def status(self) -> object:
        return {
            "version": secretary.__version__,
            "groups": [
                {
                    "name": each.group.name,
                    "acting": each.holds,
                    "trouble": each.trouble,
                    "decision": each.decision.reason if each.decision is not None else None,
                    "target": each.decision.target if each.decision is not None else None,
                    "alarms": list(each.report.alarms),
                    "machines": [
                        {
                            "id": machine.id,
                            "number": machine.number,
                            "provider_id": machine.provider_id,
                            "address": machine.endpoint,
                            "state": machine.state.value,
                            "since": machine.since.isoformat(),
                            "reason": machine.words,
                        }
                        for machine, _ in each.report.stock.machines.values()
                    ],
                }
                for each in self._loops
            ],
        }

    def metrics(self) -> Sequence[Family]:
        return list(self._families())

    def _families(self) -> Iterator[Family]:
        loops = list(self._loops)
        yield Family(
            "secretary_scale_machines",
            Kind.GAUGE,
            "Machines in the inventory, by state.",
            [
                Sample((("group", each.group.name), ("state", state.value)), _count(each, state))
                for each in loops
                for state in MachineState
            ],
        )
        yield Family(
            "secretary_scale_target",
            Kind.GAUGE,
            "Machines that the policy wants.",
            [
                Sample((("group", each.group.name),), each.decision.target)
                for each in loops
                if each.decision is not None
            ],
        )
        yield Family(
            "secretary_scale_acting",
            Kind.GAUGE,
            "1 where this scaler holds the group's lock.",
            [Sample((("group", each.group.name),), int(each.holds)) for each in loops],
        )
        yield Family(
            "secretary_scale_alarms",
            Kind.GAUGE,
            "What somebody should look at.",
            [Sample((("group", each.group.name),), len(each.report.alarms)) for each in loops],
        )
        yield Family(
            "secretary_scale_wishes_total",
            Kind.COUNTER,
            "Machines that the policy has added or removed.",
            [
                Sample((("group", each.group.name), ("direction", direction)), number)
                for each in loops
                for direction, number in (("up", each.ups), ("down", each.downs))
            ],
        )
        yield Family(
            "secretary_scale_failed_turns_total",
            Kind.COUNTER,
            "Looks at a group that went wrong.",
            [Sample((("group", each.group.name),), each.failures) for each in loops],
        )


def _words(loop: GroupLoop) -> str:
    if loop.trouble is not None:
        return f"{loop.group.name}: {loop.trouble}"
    if not loop.holds:
        return f"{loop.group.name}: standing by"
    alive = [_count(loop, state) for state in MachineState if state is MachineState.SERVING]
    alarms = f", {len(loop.report.alarms)} alarms" if loop.report.alarms else ""
    return f"{loop.group.name}: {alive[0]} serve{alarms}"


def _count(loop: GroupLoop, state: MachineState) -> int:
    return sum(machine.state is state for machine, _ in loop.report.stock.machines.values())
