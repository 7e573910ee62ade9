"""Permits: how many messages may be on their way at once on one connection.

A permit is held from before the mark until the result is committed, so what a crash leaves
uncertain on a connection is never more than its permits.
"""

import asyncio

AHEAD_SECONDS = 0.1
"""For how long what is marked ahead lasts while the carrier's window is full. What becomes urgent
meanwhile waits so long, since nothing overtakes what is marked."""
LEAST_MOST_AHEAD = 64
"""So many may be marked ahead, and may wait for their commit, however small the window: small
windows are answered fast, and small batches cost as much as large ones."""


def most_ahead(window: int) -> int:
    """How many messages of a connection may at most be marked ahead; as many may wait for their
    commit. window: how many may be unanswered.
    """
    return max(window, LEAST_MOST_AHEAD)


def permits_for(window: int) -> int:
    """The most messages on their way on one connection: those that the carrier has not answered,
    those that are marked ahead, and those answered whose result is being committed. So the
    carrier's window is full while one batch is marked and another is recorded.
    """
    return window + 2 * most_ahead(window)


def ahead_of(window: int, answer_seconds: float) -> int:
    """How many messages to mark ahead where an answer takes so long: as many as leave in
    AHEAD_SECONDS with a full window.
    """
    most = most_ahead(window)
    return max(1, int(min(most, window * AHEAD_SECONDS / max(answer_seconds, 0.001))))


class AnswerTimes:
    """How long the carrier's answers take of late, on one connection: the mean of about the latest
    sixteen. A carrier that has stopped answering is slow too: one write at a time is watched, and
    counts as long as it has waited, until something of it is answered.
    """

    def __init__(self) -> None:
        self._mean = AHEAD_SECONDS
        self._unanswered_since: float | None = None

    def written(self, now: float) -> None:
        """Something was written at this moment of the event loop's clock."""
        if self._unanswered_since is None:
            self._unanswered_since = now

    def answered(self, written_at: float, now: float) -> None:
        """Something that was written at that moment has its answer."""
        self._mean += (now - written_at - self._mean) / 16
        if written_at == self._unanswered_since:
            self._unanswered_since = None  # the next write is watched

    def seconds(self, now: float) -> float:
        """How long an answer takes."""
        if self._unanswered_since is None:
            return self._mean
        return max(self._mean, now - self._unanswered_since)


class PermitCounter:
    """A counter with one waiter."""

    def __init__(self, size: int) -> None:
        self.free = size
        self._changed = asyncio.Event()

    def take(self, count: int) -> None:
        """Use permits that are free."""
        self.free -= count

    def give(self, count: int) -> None:
        """Return permits."""
        self.free += count
        self._changed.set()

    def wake(self) -> None:
        """End a wait: there is something else to do."""
        self._changed.set()

    async def wait_free(self, seconds: float, *, even_if_free: bool = False) -> None:
        """Until a permit is free, given back, or `wake`, but no longer than this."""
        if self.free > 0 and not even_if_free:
            return
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return
