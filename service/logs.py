"""Logging: one JSON object a line, with the ids of the work at hand and never a phone number.

Messages are constants, facts go into `extra=`. Whatever still looks like a mobile number in a
message or a fact is masked before it is written; texts of messages are never logged.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

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


def configure(level: str) -> None:
    """Send all logging to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
