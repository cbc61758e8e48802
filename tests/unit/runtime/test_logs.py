"""A log line is one line, whatever is in it."""

import io
import json
import logging
import os
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.errors import StoreUnavailable
from secretary.core.settings import LogFormat, LogLevel, LogSettings
from secretary.runtime.logs import Json, Text, configure

ANYTHING = st.text(st.characters())
"""Surrogates, controls and line separators included."""


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of the project, whose root is put back as it was."""
    root = logging.getLogger("secretary")
    before = root.handlers, root.propagate, root.level
    yield logging.getLogger("secretary.agent.worker")
    root.handlers, root.propagate = before[:2]
    root.setLevel(before[2])


def record(message: str, **more: object) -> logging.LogRecord:
    """A record made on 2026-11-21 at 05:00:00.123."""
    return logging.makeLogRecord(
        {"name": "secretary.x", "levelno": 20, "levelname": "INFO", "msg": message}
        | {"created": 1795237200.123}
        | more
    )


def raised(error: Exception) -> dict[str, object]:
    try:
        raise error
    except Exception:
        return {"exc_info": sys.exc_info()}


def test_text_says_when_how_grave_what_and_of_whom() -> None:
    line = Text().format(record("registered", service="web", key="/services/web/10.0.0.5"))
    assert line == (
        "2026-11-21T05:00:00.123Z INFO    registered service=web key=/services/web/10.0.0.5"
    )


def test_text_leaves_out_what_is_not_known() -> None:
    assert Text().format(record("hello", service=None)) == "2026-11-21T05:00:00.123Z INFO    hello"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b", '"a b"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("a\nb", '"a\\nb"'),
        ("/services/web/[fd00::1]:80", "/services/web/[fd00::1]:80"),
    ],
)
def test_text_quotes_a_value_that_could_be_misread(value: str, written: str) -> None:
    assert Text().format(record("m", key=value)).endswith(f" m key={written}")


def test_text_escapes_what_would_move_a_terminal_or_start_a_line() -> None:
    line = Text().format(record("a\n2026 ERROR b\x1b[2J\u202ec\u2028é"))
    assert line.endswith(r"INFO    a\n2026 ERROR b\x1b[2J\u202ec\u2028é")


@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_text_can_forge_a_line(message: str, service: str, key: str) -> None:
    line = Text().format(record(message, service=service, key=key))
    assert line.isprintable()


@given(ANYTHING, ANYTHING, ANYTHING)
def test_json_is_one_line_and_loses_nothing(message: str, service: str, key: str) -> None:
    line = Json().format(record(message, service=service, key=key))
    assert line.isprintable()
    assert json.loads(line) == {
        "time": "2026-11-21T05:00:00.123Z",
        "level": "info",
        "logger": "secretary.x",
        "message": message,
        "service": service,
        "key": key,
    }


def test_an_unforeseen_error_shows_where_it_came_from() -> None:
    """In text on indented lines, in JSON in one field."""
    failed = record("the tick failed", service="web", **raised(ValueError("no\x1b[1m such\nline")))
    first, *below = Text().format(failed).split("\n")
    assert first.endswith("the tick failed service=web")
    assert all(line.startswith("    ") for line in below)
    assert below[0] == "    Traceback (most recent call last):"
    assert below[-2:] == [r"    ValueError: no\x1b[1m such", "    line"]
    assert "in raised" in json.loads(Json().format(failed))["error"]


def test_a_foreseen_error_is_its_message_alone() -> None:
    failed = record("not registered", **raised(StoreUnavailable("10.0.0.1:2379 did not answer")))
    assert Text().format(failed).endswith(' not registered error="10.0.0.1:2379 did not answer"')
    assert json.loads(Json().format(failed))["error"] == "10.0.0.1:2379 did not answer"


def test_configuring_again_changes_format_and_level_and_doubles_nothing(
    logger: logging.Logger,
) -> None:
    stream = io.StringIO()
    configure(LogSettings(level=LogLevel.WARNING), stream)
    configure(LogSettings(), stream)
    logger.info("one")
    logger.debug("too quiet")
    configure(LogSettings(format=LogFormat.JSON, level=LogLevel.DEBUG), stream)
    logger.debug("two")
    one, two = stream.getvalue().splitlines()
    assert one.endswith("INFO    one")
    assert json.loads(two)["message"] == "two"


def test_the_lines_go_nowhere_else(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    configure(LogSettings(), io.StringIO())
    logger.error("once")
    assert caplog.records == []


def test_a_service_logger_names_its_service_and_key(logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure(LogSettings(), stream)
    about = {"service": "web", "key": "/services/web/10.0.0.5"}
    logging.LoggerAdapter(logger, about).info("up after %d probes", 2)
    assert stream.getvalue().endswith(
        "INFO    up after 2 probes service=web key=/services/web/10.0.0.5\n"
    )


def test_a_log_that_nobody_reads_holds_up_nothing(logger: logging.Logger) -> None:
    """What is lost is counted, and said once somebody reads again."""
    reader, writer = os.pipe()
    with open(reader, "rb") as read, open(writer, "w") as stream:
        configure(LogSettings(), stream)
        began_s = time.monotonic()
        for number in range(5000):
            logger.info("line %d", number)
        assert time.monotonic() - began_s < 30  # it would otherwise never end
        os.set_blocking(reader, False)
        kept = read.read()
        logger.info("after")
        last = read.read().decode().splitlines()
    count = kept.count(b"\n")
    assert 100 < count < 5000
    assert f"{5000 - count} lines before this one are lost" in last[0]
    assert last[1].endswith("after")
