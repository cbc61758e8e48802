"""Nothing is touched before all is checked; one service's bad change does not hold up the rest."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from secretary.core.errors import CheckRefused, PublishError, ReloadFailed, TemplateError
from secretary.core.instance import Instance
from secretary.renderer.files import Destination
from secretary.renderer.ports import Reconciled
from secretary.renderer.publisher import Output, Published, Publisher
from secretary.renderer.services import Roster, View
from secretary.renderer.template import Facts, Template
from tests.unit.renderer.records import instance, keyed

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LINES = """\
{% for s in services %}{% for i in s %}
{{ s.name }} {{ i.addr }} {{ i.weight }}
{% endfor %}{% endfor %}
"""
ZONES = (
    "{% for s in services %}{% for i in s %}{{ i.meta['zone'] | word }} {% endfor %}{% endfor %}"
)
BAD = 13
"""A weight that the check does not like."""


class Bench:
    """A publisher of `out`, and what its check and reload were asked."""

    def __init__(
        self, directory: Path, *sources: str, applied: dict[str, str] | None = None
    ) -> None:
        self.paths = [directory / f"out{n}" for n, _ in enumerate(sources)]
        self.checks = 0
        self.reloads = 0
        self.refuses: Callable[[str], bool] = lambda text: f" {BAD}\n" in text
        self.reload_error: Exception | None = None
        self.roster = Roster()
        self.applied = {} if applied is None else applied
        self.publisher = Publisher(
            [
                Output(
                    Template("t", {"t": source}.get, "nginx", Facts({}, {})),
                    Destination(str(path)),
                    ("check", "{staged}"),
                )
                for source, path in zip(sources, self.paths, strict=True)
            ],
            check=self.check,
            check_timeout_s=1,
            applied=self.applied,
            reload=self.reload,
        )

    def check(self, arguments: Sequence[str], timeout_s: float) -> str | None:
        self.checks += 1
        return f"{arguments[1]}: bad" if self.refuses(Path(arguments[1]).read_text()) else None

    def reload(self) -> None:
        self.reloads += 1
        if self.reload_error is not None:
            raise self.reload_error

    def view(self, *records: Instance) -> View:
        return self.roster.view(1, 1, keyed(records), ())

    def publish(self, *records: Instance) -> Published:
        return self.publisher.publish(self.view(*records), NOW)

    @property
    def text(self) -> str:
        return self.paths[0].read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, LINES)


def test_a_change_is_checked_written_and_taken_up(bench: Bench) -> None:
    assert bench.publish(instance()) == Published(written=True, reloaded=True)
    assert bench.text == "web 10.0.0.1:80 100\n"
    assert (bench.checks, bench.reloads) == (1, 1)


def test_what_is_the_same_is_neither_written_nor_reloaded(bench: Bench) -> None:
    bench.publish(instance())
    before = bench.paths[0].stat()
    assert bench.publish(instance()) == Published()
    assert bench.paths[0].stat() == before
    assert (bench.checks, bench.reloads) == (1, 1)


def test_what_somebody_wrote_over_is_put_right(bench: Bench) -> None:
    bench.publish(instance())
    bench.paths[0].write_text("scribble")
    assert bench.publish(instance()).written
    assert bench.text == "web 10.0.0.1:80 100\n"


def test_what_the_check_refuses_changes_nothing(bench: Bench) -> None:
    bench.publish(instance())
    bench.refuses = lambda text: True
    with pytest.raises(CheckRefused, match=r"out0: the check refuses it: .*out0: bad"):
        bench.publish(instance(weight=5))
    assert bench.text == "web 10.0.0.1:80 100\n"
    assert bench.reloads == 1
    assert not bench.publisher.quarantined  # even the old one is refused: no service's fault


def test_a_reload_that_failed_is_made_again_though_the_file_is_written(bench: Bench) -> None:
    bench.reload_error = ReloadFailed("no proxy")
    for _ in range(2):
        with pytest.raises(ReloadFailed, match="no proxy"):
            bench.publish(instance())
    assert bench.text == "web 10.0.0.1:80 100\n"
    bench.reload_error = None
    assert bench.publish(instance()) == Published(reloaded=True)
    assert bench.reloads == 3


def test_a_reload_that_failed_is_made_again_though_the_old_text_is_back(bench: Bench) -> None:
    bench.publish(instance())
    bench.reload_error = ReloadFailed("no proxy")
    with pytest.raises(ReloadFailed):
        bench.publish(instance(weight=5))
    bench.reload_error = None
    assert bench.publish(instance()) == Published(written=True, reloaded=True)


def test_what_a_predecessor_applied_is_not_reloaded(bench: Bench, tmp_path: Path) -> None:
    bench.publish(instance())
    again = Bench(tmp_path, LINES, applied=bench.applied)
    assert again.publish(instance()) == Published()


def test_what_nobody_knows_to_be_applied_is_reloaded_once(bench: Bench, tmp_path: Path) -> None:
    bench.publish(instance())
    again = Bench(tmp_path, LINES)
    assert again.publish(instance()) == Published(reloaded=True)


def test_what_was_applied_long_ago_is_not_applied_when_it_is_written_again(
    bench: Bench, tmp_path: Path
) -> None:
    """Another has been written and taken up since, and then nobody could note it."""
    bench.publish(instance())
    long_ago = dict(bench.applied)
    bench.publish(instance(weight=5))
    again = Bench(tmp_path, LINES, applied=long_ago)
    assert again.publish(instance()) == Published(written=True, reloaded=True)


def test_what_was_edited_and_reloaded_by_hand_is_written_and_reloaded(bench: Bench) -> None:
    bench.publish(instance())
    bench.paths[0].write_text("scribble")
    assert bench.publish(instance()) == Published(written=True, reloaded=True)


def test_a_group_is_written_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    both = Bench(tmp_path, "{{ services.web | length }}", LINES)
    both.publish(instance())
    both.refuses = lambda text: True
    with pytest.raises(CheckRefused):
        both.publish(instance(weight=5), instance(ip="10.0.0.2"))
    assert both.text == "1"
    both.refuses = lambda text: False
    assert both.publish(instance(weight=5), instance(ip="10.0.0.2")).reloaded
    assert (both.text, both.reloads) == ("2", 2)


# Quarantine


def test_the_service_that_breaks_it_stays_as_it_was_and_the_rest_goes_through(
    bench: Bench,
) -> None:
    names = ["api", "db", "web", "www"]
    bench.publish(*(instance(name) for name in names))
    changed = [instance(name, weight=BAD if name == "db" else 5) for name in names]
    assert bench.publish(*changed) == Published(written=True, reloaded=True)
    assert bench.text == "".join(
        f"{name} 10.0.0.1:80 {100 if name == 'db' else 5}\n" for name in names
    )
    assert list(bench.publisher.quarantined) == ["db"]
    assert "bad" in bench.publisher.quarantined["db"].reason


def test_several_culprits_are_found(bench: Bench) -> None:
    names = [f"s{n}" for n in range(10)]
    bench.publish(*(instance(name) for name in names))
    bench.publish(*(instance(n, weight=BAD if n in ("s1", "s8") else 5) for n in names))
    assert sorted(bench.publisher.quarantined) == ["s1", "s8"]
    assert bench.text.count(" 5\n") == 8


def test_a_quarantined_service_is_not_tried_again_until_it_changes(bench: Bench) -> None:
    bad = instance("db", weight=BAD)
    bench.publish(instance(), instance("db"))
    bench.publish(instance(), bad)
    checks = bench.checks
    bench.publish(instance(weight=5), bad)
    assert bench.checks == checks + 1
    assert bench.publish(instance(weight=5), instance("db", weight=7)).written
    assert not bench.publisher.quarantined
    assert "db 10.0.0.1:80 7" in bench.text


def test_a_quarantined_service_gets_another_try_when_asked_for(bench: Bench) -> None:
    bench.publish(instance(), instance("db"))
    bench.publish(instance(), instance("db", weight=BAD))
    bench.refuses = lambda text: False
    bench.publisher.retry_quarantined()
    assert bench.publish(instance(), instance("db", weight=BAD)).written
    assert not bench.publisher.quarantined


def test_nobody_is_told_that_less_is_left_out_before_it_is_through(bench: Bench) -> None:
    """Whoever stops meanwhile must go on waiting."""
    bad = instance("db", weight=BAD)
    bench.publish(instance(), instance("db"))
    bench.publish(instance(), bad)
    told: list[list[str]] = []

    def refuses(text: str) -> bool:
        told.append(list(bench.publisher.quarantined))
        return f" {BAD}\n" in text

    bench.refuses = refuses
    bench.publisher.retry_quarantined()
    bench.publish(instance(weight=7), bad)
    bench.publish(instance(weight=7), instance("db", weight=8))
    assert told
    assert all(names == ["db"] for names in told)
    assert not bench.publisher.quarantined


def test_services_that_a_template_does_not_look_at_are_not_searched(tmp_path: Path) -> None:
    one = Bench(tmp_path, "{% for i in services.web %}{{ i.weight }}\n{% endfor %}")
    one.refuses = lambda text: text == f"{BAD}\n"
    one.publish(instance())
    others = [instance(f"s{n}", weight=n + 100) for n in range(100)]
    checks = one.checks
    one.publish(instance(weight=BAD), *others)
    assert list(one.publisher.quarantined) == ["web"]
    assert one.checks < checks + 5


def test_a_bad_service_at_the_first_start_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.publish(instance(), instance("db", weight=BAD))
    assert bench.text == "web 10.0.0.1:80 100\n"
    assert list(bench.publisher.quarantined) == ["db"]


def test_when_nothing_passes_at_the_first_start_what_stands_there_stays(bench: Bench) -> None:
    bench.paths[0].write_text("from before our time")
    with pytest.raises(CheckRefused):
        bench.publish(instance(weight=BAD))
    assert bench.text == "from before our time"
    assert not bench.publisher.quarantined


def test_a_restart_does_not_empty_what_is_in_quarantine(bench: Bench, tmp_path: Path) -> None:
    bad = instance("db", weight=BAD)
    bench.publish(instance(), instance("db"))
    bench.publish(instance(), bad)
    again = Bench(tmp_path, LINES)
    with pytest.raises(CheckRefused):
        again.publish(instance(weight=5), bad)
    assert "db 10.0.0.1:80 100" in again.text


def test_what_went_through_before_a_restart_is_fallen_back_to(bench: Bench, tmp_path: Path) -> None:
    bad = instance("db", weight=BAD)
    bench.publish(instance(), instance("db"))
    again = Bench(tmp_path, LINES)
    again.publisher.begin_with(again.view(instance(), instance("db")))
    again.publish(instance(weight=5), bad)
    assert again.text == "db 10.0.0.1:80 100\nweb 10.0.0.1:80 5\n"
    assert list(again.publisher.quarantined) == ["db"]


def test_a_service_whose_records_a_template_cannot_take_is_quarantined(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ZONES)
    bench.publish(instance(meta={"zone": "a"}))
    bench.publish(instance(meta={"zone": "b"}), instance("db"))
    assert bench.text == "b "
    assert list(bench.publisher.quarantined) == ["db"]


def test_a_template_that_fails_for_all_changes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "{{ nothing }}")
    with pytest.raises(TemplateError):
        bench.publish(instance())
    assert not bench.paths[0].exists()


def test_a_service_that_goes_leaves_the_quarantine(bench: Bench) -> None:
    bench.publish(instance(), instance("db"))
    bench.publish(instance(), instance("db", weight=BAD))
    bench.publish(instance())
    assert not bench.publisher.quarantined
    assert bench.text == "web 10.0.0.1:80 100\n"


# A proxy that is changed while it runs


class Running:
    """Stands where a running HAProxy would: says what it is told to."""

    def __init__(self) -> None:
        self.answers: list[Reconciled | Exception] = []
        self.seen: list[str] = []
        self.loads: list[str] = []

    def loaded(self, config: str) -> None:
        self.loads.append(config)

    def reconcile(self, config: str) -> Reconciled:
        self.seen.append(config)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def running(bench: Bench) -> Running:
    running = Running()
    bench.publisher._runtime = running
    return running


def test_servers_change_without_a_reload(bench: Bench, running: Running) -> None:
    running.answers = [Reconciled(3, leaving=1)]
    assert bench.publish(instance()) == Published(written=True, runtime_changes=3, leaving=1)
    assert bench.reloads == 0
    assert running.seen == [bench.text]


def test_a_new_structure_is_reloaded_and_then_compared(bench: Bench, running: Running) -> None:
    running.answers = [Reconciled(0, structure="a new backend"), Reconciled(1)]
    assert bench.publish(instance()) == Published(written=True, reloaded=True, runtime_changes=1)
    assert running.loads == [bench.text]


def test_a_proxy_that_does_not_answer_is_a_failure(bench: Bench, running: Running) -> None:
    running.answers = [ReloadFailed("no socket"), Reconciled(0)]
    with pytest.raises(PublishError, match="no socket"):
        bench.publish(instance())
    assert bench.text == "web 10.0.0.1:80 100\n"
    assert bench.publish(instance()) == Published()


def test_the_running_proxy_is_compared_though_nothing_is_written(
    bench: Bench, running: Running
) -> None:
    running.answers = [Reconciled(1), Reconciled(2)]
    bench.publish(instance())
    assert bench.publish(instance()) == Published(runtime_changes=2)


def test_a_predecessor_s_work_is_known_to_be_loaded(
    bench: Bench, running: Running, tmp_path: Path
) -> None:
    running.answers = [Reconciled(1), Reconciled(0)]
    bench.publish(instance())
    loaded = bench.text
    again = Bench(tmp_path, LINES, applied=bench.applied)
    again.publisher._runtime = running
    again.publish(instance(weight=5))
    assert running.loads == [loaded]
