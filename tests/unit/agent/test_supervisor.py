"""Services start, change and stop together, and one's trouble is never another's."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from secretary.agent.pages import AgentPages
from secretary.agent.ports import Outcome
from secretary.agent.registration import Place
from secretary.agent.service import Plan
from secretary.agent.supervisor import Supervisor
from secretary.core import record
from secretary.core.instance import Instance
from secretary.core.settings import KeyBy, ProbeSettings, Rhythm, ServiceSettings
from tests.fakes.containers import FakeDiscovered
from tests.fakes.probe import FakeProbe
from tests.fakes.registry import FakeRegistry
from tests.waiting import wait_for

QUICK = Rhythm(interval_s=0.02, fast_interval_s=0.01, rise=1, fall=2)


def plan(name: str, probe: FakeProbe, port: int = 8080, **settings: Any) -> Plan:
    given = ServiceSettings(
        name=name, port=port, **{"rhythm": QUICK, "weight": 100, "ttl_s": 30, **settings}
    )
    fields = {
        "host": "node-1",
        "ipv4_addr": "10.0.0.5",
        "port": port,
        "addr": f"10.0.0.5:{port}",
        "name": name,
        "id": "a",
        "weight": given.weight,
        "state": "up",
        "since": datetime.now(UTC),
        "schema": record.SCHEMA,
    }
    instance = msgspec.convert(fields, Instance)
    key = instance.key(given.prefix, KeyBy.IP)
    return Plan(given, instance, key, ProbeSettings(target="tcp://127.0.0.1:1"), probe)


def keys(registry: FakeRegistry) -> set[str]:
    return set(registry.keys)


WEB, API = "/services/web/10.0.0.5", "/services/api/10.0.0.5"


def test_each_service_follows_its_own_app(supervisor: Supervisor, registry: FakeRegistry) -> None:
    web, api = FakeProbe(), FakeProbe()
    supervisor.start([plan("web", web), plan("api", api)])
    wait_for(lambda: keys(registry) == {WEB, API})
    web.outcome = Outcome.REFUSED
    wait_for(lambda: keys(registry) == {API})
    web.outcome = Outcome.PASS
    wait_for(lambda: keys(registry) == {WEB, API})


def test_a_service_that_may_not_write_holds_up_no_other(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    registry.denied_keys.add(WEB)
    supervisor.start([plan("web", FakeProbe()), plan("api", FakeProbe())])
    wait_for(lambda: keys(registry) == {API})
    web = supervisor.services[0].registration
    wait_for(lambda: web.trouble is not None and "permission denied" in web.trouble)
    assert AgentPages("a", supervisor, FakeDiscovered()).ready().ok is False


def test_an_app_that_hangs_holds_up_no_other(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    hanging = FakeProbe()
    hanging.gate.clear()
    try:
        supervisor.start([plan("web", hanging), plan("api", FakeProbe())])
        wait_for(lambda: keys(registry) == {API})
    finally:
        hanging.gate.set()


def test_records_come_when_etcd_comes(supervisor: Supervisor, registry: FakeRegistry) -> None:
    registry.away = True
    probe = FakeProbe()
    supervisor.start([plan("web", probe)])
    wait_for(lambda: supervisor.keeper.away is not None and probe.asked > 3)
    registry.away = False
    wait_for(lambda: keys(registry) == {WEB})
    wait_for(lambda: supervisor.keeper.away is None)


def test_new_content_is_published_and_the_rest_is_left_alone(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    web, api = FakeProbe(), FakeProbe()
    supervisor.start([plan("web", web), plan("api", api)])
    wait_for(lambda: keys(registry) == {WEB, API})
    kept, created = registry.keys[API], registry.keys[WEB].create_revision
    supervisor.follow([plan("web", web, weight=7), plan("api", api)])
    wait_for(lambda: record.decode(WEB, registry.keys[WEB].value).weight == 7)
    assert registry.keys[API] == kept
    assert registry.keys[WEB].create_revision == created


def test_a_service_that_is_no_longer_wanted_leaves_and_a_new_one_comes(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    web = FakeProbe()
    supervisor.start([plan("web", web)])
    wait_for(lambda: keys(registry) == {WEB})
    supervisor.follow([plan("api", FakeProbe())])
    wait_for(lambda: keys(registry) == {API})


def test_another_rhythm_keeps_the_record_and_the_health(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    before, after = FakeProbe(), FakeProbe()
    supervisor.start([plan("web", before)])
    wait_for(lambda: keys(registry) == {WEB})
    stood = registry.keys[WEB]
    quicker = Rhythm(interval_s=0.01, fast_interval_s=0.01, rise=5)
    supervisor.follow([plan("web", after, rhythm=quicker)])
    wait_for(lambda: after.asked > 3)
    assert registry.keys[WEB] == stood


def test_another_ttl_takes_the_record_over_without_a_gap(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    web = FakeProbe()
    supervisor.start([plan("web", web)])
    wait_for(lambda: keys(registry) == {WEB})
    before = registry.keys[WEB]
    supervisor.follow([plan("web", web, ttl_s=60)])
    wait_for(lambda: registry.keys[WEB].lease != before.lease)
    assert registry.keys[WEB].create_revision == before.create_revision


def test_another_ttl_keeps_what_is_known_of_an_app_that_cannot_be_probed(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    web = FakeProbe()
    supervisor.start([plan("web", web)])
    wait_for(lambda: keys(registry) == {WEB})
    before = registry.keys[WEB]
    web.outcome = Outcome.ERROR
    supervisor.follow([plan("web", web, ttl_s=60)])
    wait_for(lambda: registry.keys[WEB].lease != before.lease)


def test_a_verdict_of_a_replaced_worker_is_not_heard(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    before, after = FakeProbe(), FakeProbe()
    supervisor.start([plan("web", before)])
    wait_for(lambda: keys(registry) == {WEB})
    before.gate.clear()
    asked = before.asked
    wait_for(lambda: before.asked > asked)
    before.outcome = Outcome.REFUSED
    quicker = Rhythm(interval_s=0.01, fast_interval_s=0.01, rise=1)
    supervisor.follow([plan("web", after, rhythm=quicker)])
    before.gate.set()
    seen = after.asked
    wait_for(lambda: after.asked > seen + 5)
    assert keys(registry) == {WEB}


def test_a_service_that_is_being_left_is_waited_for_too(
    supervisor: Supervisor, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.start([plan("web", FakeProbe())])
    wait_for(lambda: keys(registry) == {WEB})
    registry.renderers["one"] = registry.revision
    supervisor.follow([])
    wait_for(lambda: keys(registry) == set())
    supervisor.stop(0.6)
    assert "not yet applied by one" in caplog.text


def test_a_process_without_services_lives(supervisor: Supervisor) -> None:
    """No container may have a label yet."""
    supervisor.start([])
    before_s = supervisor.keeper.beat_s
    supervisor.keeper.wake()
    wait_for(lambda: supervisor.keeper.beat_s > before_s)


def test_a_process_that_is_leaving_still_lives(
    supervisor: Supervisor, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.start([plan("web", FakeProbe())])
    wait_for(lambda: keys(registry) == {WEB})
    supervisor.stop(1)
    monkeypatch.setattr("secretary.agent.pages.SLACK_S", -1000.0)
    assert AgentPages("a", supervisor, FakeDiscovered()).live().ok


def test_another_port_leaves_before_it_comes_back(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    web = FakeProbe()
    supervisor.start([plan("web", web)])
    wait_for(lambda: keys(registry) == {WEB})
    supervisor.follow([plan("web", web, port=9090)])
    wait_for(lambda: WEB in registry.keys and b":9090" in registry.keys[WEB].value)


def test_stopping_takes_every_record_out(supervisor: Supervisor, registry: FakeRegistry) -> None:
    supervisor.start([plan("web", FakeProbe()), plan("api", FakeProbe())])
    wait_for(lambda: keys(registry) == {WEB, API})
    supervisor.stop(5)
    supervisor.stop(5)
    assert (registry.keys, registry.leases) == ({}, set())


def test_stopping_waits_until_every_renderer_has_applied_it(
    supervisor: Supervisor, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.start([plan("web", FakeProbe())])
    wait_for(lambda: keys(registry) == {WEB})
    registry.renderers["one"] = registry.revision
    supervisor.stop(0.6)
    assert "not yet applied by one" in caplog.text


def test_stopping_does_not_wait_for_the_renderers_of_an_app_that_is_gone(
    supervisor: Supervisor, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """Its death may be what ends us, and its next start wait for our end."""
    web, api = FakeProbe(), FakeProbe()
    seldom = Rhythm(interval_s=600, fast_interval_s=0.01, rise=1)
    supervisor.start([plan("web", web, rhythm=seldom), plan("api", api, rhythm=seldom)])
    wait_for(lambda: keys(registry) == {WEB, API})
    registry.renderers["one"] = registry.revision
    web.outcome = api.outcome = Outcome.REFUSED
    supervisor.stop(60)
    assert "not yet applied" not in caplog.text


def test_stopping_does_not_wait_for_a_renderer_that_is_not_behind(
    supervisor: Supervisor, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.renderers["one"] = 1000
    supervisor.start([plan("web", FakeProbe())])
    wait_for(lambda: keys(registry) == {WEB})
    supervisor.stop(60)
    assert registry.keys == {}
    assert "not yet applied" not in caplog.text


def test_stopping_ends_though_etcd_does_not_answer(
    supervisor: Supervisor, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.start([plan("web", FakeProbe())])
    wait_for(lambda: keys(registry) == {WEB})
    registry.away = True
    supervisor.stop(0.2)
    assert "when their leases expire" in caplog.text


def test_a_healthy_process_says_that_it_lives_and_is_ready(
    supervisor: Supervisor, registry: FakeRegistry
) -> None:
    supervisor.start([plan("web", FakeProbe())])
    pages = AgentPages("a", supervisor, FakeDiscovered())
    wait_for(lambda: pages.ready().ok)
    assert pages.live().ok
    assert supervisor.services[0].registration.place is Place.REGISTERED
    assert pages.line() == "up, registered"


def test_stopping_without_a_record_waits_for_nothing(
    supervisor: Supervisor, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.away = True
    supervisor.start([plan("web", FakeProbe())])
    wait_for(lambda: supervisor.keeper.away is not None)
    began_s = time.monotonic()
    supervisor.stop(60)
    assert time.monotonic() - began_s < 30
    assert "could not leave" not in caplog.text
    assert "answers again" not in caplog.text
