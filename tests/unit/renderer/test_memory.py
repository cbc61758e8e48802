"""The last good records and what is applied outlive a restart; without them all works the same."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secretary.renderer.memory import Memory
from tests.unit.renderer.records import instance, keyed, snapshot

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def saved(path: Path, prefix: str = "/services") -> Memory:
    memory = Memory(str(path), prefix)
    memory.applied["/etc/a.conf"] = "digest"
    memory.save(snapshot(7, instance(meta={"a": "b"}), instance("db", "::1")), NOW)
    return memory


def test_what_was_saved_is_recalled(path: Path) -> None:
    saved(path)
    memory = Memory(str(path), "/services")
    recalled = memory.recall(NOW + timedelta(hours=23))
    assert recalled is not None
    assert recalled.revision == 7
    assert recalled.instances == keyed([instance(meta={"a": "b"}), instance("db", "::1")])
    assert memory.applied == {"/etc/a.conf": "digest"}


def test_only_its_owner_may_read_it(path: Path) -> None:
    saved(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("age", [timedelta(hours=25), timedelta(hours=-1)])
def test_records_that_are_too_old_or_of_the_future_are_not_used(path: Path, age: timedelta) -> None:
    saved(path)
    memory = Memory(str(path), "/services")
    assert memory.recall(NOW + age) is None
    assert memory.applied == {"/etc/a.conf": "digest"}


def test_records_of_another_prefix_are_not_used(path: Path) -> None:
    saved(path, "/other")
    assert Memory(str(path), "/services").recall(NOW) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"prefix": 1}'])
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
        memory.save(snapshot(1, instance()), NOW)
        memory.save(snapshot(2, instance(weight=2)), NOW)
    assert len(caplog.records) == 1
    assert "a start while etcd is away will know nothing" in caplog.text


def test_what_has_not_changed_is_written_only_now_and_then(path: Path) -> None:
    memory = saved(path)
    inode = path.stat().st_ino
    memory.save(snapshot(8, instance(meta={"a": "b"}), instance("db", "::1")), NOW)
    assert path.stat().st_ino == inode
    later = NOW + timedelta(minutes=11)
    memory.save(snapshot(8, instance(meta={"a": "b"}), instance("db", "::1")), later)
    assert Memory(str(path), "/services").recall(later + timedelta(hours=24)) is not None


def test_off_is_off() -> None:
    memory = Memory(None, "/services")
    memory.save(snapshot(1, instance()), NOW)
    assert memory.recall(NOW) is None
