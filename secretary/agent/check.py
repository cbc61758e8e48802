"""What `run` would do, done once and said in plain words. It leaves nothing behind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from secretary.agent.ports import Outcome, Registry
from secretary.agent.service import Plan
from secretary.core import record
from secretary.core.claim import Found, Standing, judge
from secretary.core.errors import SecretaryError
from secretary.core.record import endpoint_of


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `ok` is None for what is neither right nor wrong."""

    ok: bool | None
    title: str
    text: str


def examine(
    plans: Iterator[Plan | Finding], registry: Registry, clock: Callable[[], float]
) -> Iterator[Finding]:
    """Look at each plan, its app and its place in the directory, in the order of `run`.

    A Finding among the plans stands for a service that has none, and is passed on.
    """
    for plan in plans:
        if isinstance(plan, Finding):
            yield plan
            continue
        result = plan.probe.run()
        took = f"{result.duration_s * 1000:.0f} ms"
        yield Finding(
            result.outcome is Outcome.PASS,
            "probe",
            f"{plan.probe_settings.target}: {result.detail}, in {took}",
        )
        yield from _place(plan, registry, clock)


def _place(plan: Plan, registry: Registry, clock: Callable[[], float]) -> Iterator[Finding]:
    """Look at etcd and the key. The first trouble ends it: the rest stands on what failed."""
    try:
        began_s = clock()
        found = registry.find(plan.key)
        yield Finding(True, "etcd", f"answers in {(clock() - began_s) * 1000:.0f} ms")
        lease = registry.grant(plan.settings.ttl_s)
        try:
            registry.rehearse(plan.key, lease.lease)
            yield Finding(True, "permission", f"may read and write {plan.key}")
        finally:
            lease.close()
        yield Finding(True, "lease", f"granted for {plan.settings.ttl_s} s and revoked")
        yield _key(plan, found)
    except SecretaryError as error:
        yield Finding(False, "etcd", str(error))


def _key(plan: Plan, found: Found | None) -> Finding:
    standing = judge(found, value=record.encode(plan.instance), lease=None, incumbent=False)
    if found is None:
        return Finding(True, "key", f"{plan.key} is free")
    holder = endpoint_of(found.value) or "an unreadable record"
    under = f"lease {found.lease:x}" if found.lease else "no lease"
    if standing is Standing.CONFLICT:
        return Finding(
            False,
            "key",
            f"{plan.key} is held by {holder} under {under};"
            " --key-by ip-port gives each port its own key",
        )
    return Finding(True, "key", f"{plan.key} holds {holder} under {under}: run would take it over")
