"""The times that receipts name: whole minutes or seconds, so that thousands in a row are alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Write = Callable[[datetime], str]

_NEVER = datetime.min.replace(tzinfo=UTC)


def by_minute(write: Write) -> Write:
    """The same writer of times without seconds, which remembers the minute it wrote last."""
    return _remembering(write, timedelta(minutes=1), lambda at: at.replace(second=0, microsecond=0))


def by_second(write: Write) -> Write:
    """The same writer of times in whole seconds, which remembers the second it wrote last."""
    return _remembering(write, timedelta(seconds=1), lambda at: at.replace(microsecond=0))


def _remembering(write: Write, span: timedelta, start: Callable[[datetime], datetime]) -> Write:
    since = until = _NEVER
    text = ""

    def written(at: datetime) -> str:
        nonlocal since, until, text
        if not since <= at < until:
            since = start(at)
            until = since + span
            text = write(at)
        return text

    return written
