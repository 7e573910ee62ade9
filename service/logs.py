"""Logging: one JSON object a line, with the ids of the work at hand and never a phone number.

Messages are constants, facts go into `extra=`. Whatever still looks like a mobile number in a
message or a fact is masked before it is written; texts of messages are never logged. What may
happen with each message, each login or each pause is logged `seldom`.
"""

import asyncio
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO
from weakref import WeakKeyDictionary

from service.words.phrase import phrase

_context: ContextVar[dict[str, str] | None] = ContextVar("log_context", default=None)
_MOBILE = re.compile(
    # An id or a hash may have such digits in it, and must stay what it is.
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}"
    r"|(?<!\d)((?:(?:00|\+)?86[ -]?)?[1１]\d{2})(?:\d{4}|[ -]\d{4}[ -])(\d{4})(?!\d)"
)
_CANDIDATE = re.compile(r"[1１]\d{2}(?:\d{4}|[ -]\d{4}[ -])\d{4}")
"""What every number has that `_MOBILE` masks: a text without it is left alone, at once. Nearly all
are, and `_MOBILE` tries each digit of each id first."""
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Add ids (campaign_id, run_id, channel, job_id, …) to every line logged inside."""
    token = _context.set({**(_context.get() or {}), **ids})
    try:
        yield
    finally:
        _context.reset(token)


MOST_WORDS = 2_000
"""How much is logged of what a library says."""

SELDOM_SECONDS = 60.0
"""How often the same is logged by `seldom`."""


@dataclass(slots=True)
class _Unlogged:
    """How often the same happened since it was last logged, and the facts of the last time."""

    times: int = 0
    facts: dict[str, Any] | None = None


_unlogged: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, _Unlogged]] = WeakKeyDictionary()


def seldom(logger: logging.Logger, level: int, message: str, **facts: Any) -> None:
    """Log what may happen thousands of times a minute: the first time at once, then once a minute.

    Each later line has `times`, how often it happened since the line before, and the facts of the
    last time. Channels are apart, as far as `log_context` names them. What was counted and not yet
    logged when the loop ends is lost. To be called in a running loop.
    """
    loop = asyncio.get_running_loop()
    key = logger.name, message, tuple(sorted((_context.get() or {}).items()))
    waiting = _unlogged.setdefault(loop, {})
    same = waiting.get(key)
    if same is not None:
        same.times += 1
        same.facts = facts
        return
    logger.log(level, message, extra=facts)
    waiting[key] = same = _Unlogged()

    def minute_over() -> None:
        if not same.times:
            del waiting[key]
            return
        logger.log(level, message, extra={**(same.facts or {}), "times": same.times})
        same.times = 0
        loop.call_later(SELDOM_SECONDS, minute_over)

    loop.call_later(SELDOM_SECONDS, minute_over)


def masked(text: str) -> str:
    """The text with every mobile number in it shown as 197****1234."""
    if _CANDIDATE.search(text) is None:
        return text
    return _MOBILE.sub(lambda found: f"{found[1]}****{found[2]}" if found[1] else found[0], text)


class JSONFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON, masked."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **(_context.get() or {}),
            **{key: value for key, value in vars(record).items() if key not in _PLAIN},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return masked(json.dumps(line, ensure_ascii=False, default=str))


LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


LIBRARY_LEVELS = {"arq": "WARNING"}
"""Of what is said in two lines for each job, 14 a second where nothing is to be done."""


def levels_named(text: str) -> str:
    """A level, or one and then those of some loggers, as in `INFO,service.dispatch=DEBUG`: from
    names in any case and in any order.

    Raises:
        ValueError: one is none of `LEVELS`, or two are for all; the message says what to write.
    """
    levels = _levels_of(text)
    root = levels.pop("", "INFO")
    return ",".join([root, *(f"{name}={level}" for name, level in levels.items())])


def _levels_of(text: str) -> dict[str, str]:
    """The level of each logger that is named; of all others under ""."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, _, word = part.rpartition("=")
        level = word.strip().upper()
        if level not in LEVELS or name.strip() in found:
            raise ValueError(
                phrase(
                    "write DEBUG, INFO, WARNING or ERROR, or also the level of a logger as in"
                    " INFO,service.dispatch=DEBUG; not {text!r}",
                    text=text,
                )
            )
        found[name.strip()] = level
    return found


class Seldom(logging.Filter):
    """Logs a library's warnings and errors `seldom`: what is wrong in a queue is so again."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record goes on as it is; else it is counted."""
        if record.levelno < logging.WARNING or getattr(record, "counted", False):
            return True
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
        why = record.getMessage()[:MOST_WORDS]
        if record.exc_info:
            why += "\n" + logging.Formatter().formatException(record.exc_info)[-MOST_WORDS:]
        logger = logging.getLogger(record.name)
        seldom(logger, record.levelno, str(record.msg), counted=True, why=why)
        return False


_errors: Counter[str] = Counter()


def error_counts() -> Mapping[str, int]:
    """How many errors this process has logged since it began, by logger."""
    return dict(_errors)


class CountedStream(logging.StreamHandler[TextIO]):
    """Writes lines, and counts those that tell of an error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one; the handler's lock is held."""
        if record.levelno >= logging.ERROR:
            _errors[record.name] += 1
        super().emit(record)


def configure(levels: str) -> None:
    """Send all logging from one of `LEVELS` on to standard error as JSON lines; levels: as
    `levels_named` gives them.

    What `LIBRARY_LEVELS` names is logged at DEBUG only, unless its own level is given. Its warnings
    and errors are logged at every level that includes them.
    """
    handler = CountedStream(sys.stderr)
    handler.setFormatter(JSONFormatter())
    given = _levels_of(levels)
    level = given.pop("", "INFO")
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, own in LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(own if level == "INFO" else logging.NOTSET)
    for name, own in given.items():
        logging.getLogger(name).setLevel(own)
    logging.getLogger("arq.worker").addFilter(Seldom())
