r"""The log: one line per event, as text for people or JSON for machines.

    2026-11-21T05:00:00.123Z INFO    registered service=web key=/services/web/10.0.0.5

Whoever logs uses the standard library and says what it is about with
`extra={"service": …, "key": …}`. What comes from outside cannot forge a line: in text all that
is not printable is escaped. Nothing here decides what is worth a line.
"""

import json
import logging
import re
import select
from datetime import UTC, datetime
from typing import TextIO

from secretary.core.errors import SecretaryError
from secretary.core.settings import LogFormat, LogSettings

PATIENCE_MS = 200
"""How long a line may wait for the log to be read."""
_ABOUT = ("service", "key")
_NEEDS_QUOTES = re.compile(r'[\s"=\\]|^$')


def configure(settings: LogSettings, stream: TextIO) -> None:
    """Send all that this project logs to `stream`; may be called again to change the settings."""
    handler = Patient(stream)
    handler.setFormatter(Json() if settings.format is LogFormat.JSON else Text())
    logger = logging.getLogger("secretary")
    logger.handlers = [handler]  # in one step: a line logged meanwhile is written once
    logger.propagate = False
    logger.setLevel(settings.level.name)


class Patient(logging.StreamHandler[TextIO]):
    """Waits only so long for whoever reads the log: what it then cannot write it counts and drops.

    A pipe that nobody reads, or a terminal that is held, would otherwise stop the program at its
    next line, in the middle of whatever it is doing.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        if not self._can_write():
            self.lost += 1
            return
        if self.lost:
            lost, self.lost = self.lost, 0
            words = f"{lost} lines before this one are lost: nobody has read the log"
            super().emit(logging.makeLogRecord({**_PLAIN, "name": record.name, "msg": words}))
        super().emit(record)

    def _can_write(self) -> bool:
        try:
            poll = select.poll()
            poll.register(self.stream.fileno(), select.POLLOUT)
        except (OSError, ValueError):  # no file, or closed: let the write itself tell
            return True
        # Once nobody has read for so long, the next line does not wait again.
        return bool(poll.poll(0 if self.lost else PATIENCE_MS))


_PLAIN = {"levelno": logging.WARNING, "levelname": "WARNING"}


class Text(logging.Formatter):
    """A line each, and an unforeseen exception's traceback on indented lines below."""

    def format(self, record: logging.LogRecord) -> str:
        about, traceback = _about(record)
        line = f"{_time(record)} {record.levelname:<7} {_printable(record.getMessage())}"
        pairs = [f" {name}={_quoted(value)}" for name, value in about.items()]
        below = [f"\n    {_printable(frame)}" for frame in traceback.splitlines()]
        return "".join([line, *pairs, *below])


class Json(logging.Formatter):
    """An object a line; `error` is a foreseen error's message, or a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        about, traceback = _about(record)
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **about,
        }
        return json.dumps(line | {"error": traceback} if traceback else line)


def _about(record: logging.LogRecord) -> tuple[dict[str, str], str]:
    """What the record says beside its message, and the traceback if nobody foresaw it."""
    about = {
        name: str(value) for name in _ABOUT if (value := getattr(record, name, None)) is not None
    }
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, SecretaryError):
        return about | {"error": str(error)}, ""
    if record.exc_info and error:
        return about, logging.Formatter().formatException(record.exc_info)
    return about, ""


def _time(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC)
    return time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _quoted(value: str) -> str:
    if value.isprintable() and not _NEEDS_QUOTES.search(value):
        return value
    return '"' + _printable(value.replace("\\", "\\\\").replace('"', '\\"')) + '"'
