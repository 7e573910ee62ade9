"""What to do about "too fast" answers: send the part again later, and slow down if there are many.

A part that was not taken is sent again after a short while and uses no retry. A carrier that says
it now and then is merely busy; one that says it to more than a hundredth of a second's submits is
over its limit, and the whole channel pauses, twice as long each time that was not enough.
"""

from collections import deque
from typing import Generic, TypeVar

AGAIN_SECONDS = 0.1
SHARE = 0.01
FEW = 3
PAUSE_FIRST, PAUSE_MOST = 0.2, 25.0
RELAPSE_SECONDS = 0.5
"""A pause that is needed again this soon after the last one is doubled."""

ItemT = TypeVar("ItemT")


class Throttle(Generic[ItemT]):
    """Parts that wait to be sent again, and the judgement of when to pause. Times in seconds."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, ItemT]] = deque()
        self._second = 0.0
        self._answers = self._answers_before = 0
        self._refusals = 0
        self._pause = PAUSE_FIRST
        self._paused_until = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def answered(self, now: float) -> None:
        """Count an answer of any kind."""
        if now - self._second >= 1.0:
            adjacent = now - self._second < 2.0
            self._answers_before = self._answers if adjacent else 0
            self._second, self._answers, self._refusals = now, 0, 0
        self._answers += 1

    def later(self, item: ItemT, now: float) -> None:
        """Keep a part to be sent again shortly."""
        due = max(now + AGAIN_SECONDS, self._paused_until)
        if self._waiting:  # the queue is one of rising times
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, item))

    def refused(self, item: ItemT, now: float, retry_after: float | None = None) -> float:
        """Keep a part for later; returns the seconds the channel must pause, mostly 0.

        A carrier that says how long to wait (`retry_after`) is obeyed.
        """
        if retry_after is not None:
            pause = min(retry_after, PAUSE_MOST)
            longer = now + pause > self._paused_until
            self._paused_until = max(self._paused_until, now + pause)
            self.later(item, now)
            return pause if longer else 0.0
        self.later(item, now)
        self._refusals += 1
        # A second that has just begun says little: three of its first hundred may be all there are.
        second = max(self._answers, self._answers_before)
        many = self._refusals >= FEW and self._refusals > second * SHARE
        if not many or now < self._paused_until:
            return 0.0
        relapse = now < self._paused_until + RELAPSE_SECONDS
        self._pause = min(PAUSE_MOST, self._pause * 2) if relapse else PAUSE_FIRST
        self._paused_until = now + self._pause
        self._refusals = 0
        return self._pause

    def due(self, now: float) -> list[ItemT]:
        """The parts whose time has come."""
        items = []
        while self._waiting and self._waiting[0][0] <= now:
            items.append(self._waiting.popleft()[1])
        return items

    def seconds_to_next(self, now: float) -> float:
        """How long until the next one is due."""
        return max(0.0, self._waiting[0][0] - now)

    def take_all(self) -> list[ItemT]:
        """Every part that waits, due or not."""
        items = [item for _, item in self._waiting]
        self._waiting.clear()
        return items

    def paused_for(self, now: float) -> float:
        """Seconds of the pause that are left."""
        return max(0.0, self._paused_until - now)
