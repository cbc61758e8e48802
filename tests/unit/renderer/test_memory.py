"""What was known outlives a restart; what is applied only a clean one."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secretary.core.drains import Drains
from secretary.core.settings import GroupSettings, RenderSettings, TemplateSettings
from secretary.renderer import memory as memory_module
from secretary.renderer.memory import Memory, Remembered, memory_of
from tests.unit.renderer.records import instance, keyed, snapshot

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SETTINGS = RenderSettings(
    groups=(GroupSettings(templates=(TemplateSettings(dest="/nowhere/a", template="/t"),)),)
)
GOOD = keyed([instance("bad", weight=1)])
HELD = keyed([instance("db", "::2")])
KNOWN = Remembered(
    snapshot(7, instance(meta={"a": "b"}), instance("db", "::1"), instance("bad", weight=2)),
    Drains(5, {"/secretary/drain/web/10.0.0.1": ("web", "10.0.0.1")}),
    HELD,
    {"/etc/a.conf": GOOD},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def saved(path: Path, prefix: str = "/services", *, last: bool = True) -> Memory:
    memory = Memory(str(path), prefix)
    memory.applied["/etc/a.conf"] = "digest"
    memory.save(KNOWN, NOW, last=last)
    return memory


def test_what_was_saved_is_recalled(path: Path) -> None:
    saved(path)
    memory = Memory(str(path), "/services")
    recalled = memory.recall(NOW + timedelta(hours=23))
    assert recalled is not None
    assert recalled.snapshot.revision == 7
    assert recalled.snapshot.instances == KNOWN.snapshot.instances
    assert recalled.drains.endpoints == KNOWN.drains.endpoints
    assert (recalled.held, recalled.good) == (HELD, {"/etc/a.conf": GOOD})
    assert memory.applied == {"/etc/a.conf": "digest"}


def test_a_group_goes_on_by_what_it_went_on_by() -> None:
    """The records as they were known, a guard's, and for what was put aside the last good ones."""
    view = KNOWN.view_of("/etc/a.conf")
    assert {name: len(service) for name, service in view.services.items()} == {
        "bad": 1, "db": 2, "web": 1,
    }  # fmt: skip
    assert [server.weight for server in view.services["bad"]] == [1]
    assert not view.services["web"].active
    assert [server.weight for server in KNOWN.view_of("other").services["bad"]] == [2]


def test_what_is_applied_is_not_known_after_a_crash(path: Path) -> None:
    saved(path, last=False)
    memory = Memory(str(path), "/services")
    assert memory.recall(NOW) is not None
    assert memory.applied == {}


def test_what_is_applied_is_believed_once(path: Path) -> None:
    saved(path)
    Memory(str(path), "/services").recall(NOW)
    again = Memory(str(path), "/services")
    again.recall(NOW)
    assert again.applied == {}


def test_only_its_owner_may_read_it(path: Path) -> None:
    saved(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("hours", "used"), [(25, False), (-25, False), (-1, True), (23, True)])
def test_records_of_another_day_are_not_used(path: Path, hours: int, used: bool) -> None:
    saved(path)
    memory = Memory(str(path), "/services")
    assert (memory.recall(NOW + timedelta(hours=hours)) is not None) is used
    assert memory.applied == {"/etc/a.conf": "digest"}


def test_records_of_another_prefix_are_not_used(path: Path) -> None:
    saved(path, "/other")
    assert Memory(str(path), "/services").recall(NOW) is None


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"\xff", b'{"prefix": 1}'),
        b'{"prefix": "/services", "at": "2026-01-01T00:00:00"}',  # in no zone
    ],
)
def test_a_broken_file_is_said_and_changes_nothing(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert Memory(str(path), "/services").recall(NOW) is None
    assert str(path) in caplog.text


def test_what_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory(str(tmp_path / "missing" / "state.json"), "/services")
    with caplog.at_level(logging.WARNING):
        memory.save(KNOWN, NOW)
        memory.save(KNOWN, NOW, last=True)
    assert len(caplog.records) == 1
    assert "a start while etcd is away will know nothing" in caplog.text


def test_what_has_not_changed_is_written_only_now_and_then(path: Path) -> None:
    memory = saved(path, last=False)
    inode = path.stat().st_ino
    memory.save(KNOWN, NOW)
    assert path.stat().st_ino == inode
    later = NOW + timedelta(minutes=11)
    memory.save(KNOWN, later)
    assert Memory(str(path), "/services").recall(later + timedelta(hours=24)) is not None


def test_off_is_off() -> None:
    memory = Memory(None, "/services")
    memory.save(KNOWN, NOW, last=True)
    assert memory.recall(NOW) is None


def test_its_own_directory_is_made_when_it_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "DIRECTORY", tmp_path / "secretary")
    memory_of(SETTINGS).save(KNOWN, NOW)
    assert memory_of(SETTINGS).recall(NOW) is not None
    Memory(str(tmp_path / "other" / "state.json"), "/services").save(KNOWN, NOW)
    assert not (tmp_path / "other").exists()
