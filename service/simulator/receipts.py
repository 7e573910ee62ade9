"""Receipts on their way to one account: waiting for their time, for a link, for an acknowledgement.

While no link is up they stay owed; what a lost link leaves unacknowledged is sent on another.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Protocol

RELEASE_SECONDS = 0.01
"""Receipts that fall due within this time go out together."""


@dataclass(slots=True)
class Owed:
    """A receipt to be sent.

    id: of the reported part. submitted_at: by the simulator's calendar. journaled: False for the
    false ones, which a restart may forget.
    """

    id: int
    phone: str
    sender: str
    stat: str
    submitted_at: datetime
    journaled: bool = True


class Link(Protocol):
    """A connection that receipts can be sent on."""

    @property
    def room(self) -> int:
        """How many more receipts may be sent before one is acknowledged."""

    def send_receipt(self, owed: Owed) -> None:
        """Send one receipt."""


class Receipts:
    """The receipts of one account and the links they can take."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.links: list[Link] = []
        self._loop = loop
        self._scheduled: list[tuple[float, int, Owed]] = []
        self._order = count()
        self._ready: deque[Owed] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many wait for their time or for a link."""
        return len(self._scheduled) + len(self._ready)

    def schedule(self, owed: Owed, delay: float) -> None:
        """Send a receipt after `delay` seconds."""
        heapq.heappush(self._scheduled, (self._loop.time() + delay, next(self._order), owed))
        self._arm()

    def again(self, unacknowledged: Sequence[Owed]) -> None:
        """Send these again, before all others."""
        self._ready.extendleft(reversed(unacknowledged))
        self.pump()

    def pump(self) -> None:
        """Send what is ready on whatever links have room."""
        for link in self.links:
            while self._ready and link.room > 0:
                link.send_receipt(self._ready.popleft())

    def stop(self) -> None:
        """Send nothing more."""
        self.links.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        due = max(self._scheduled[0][0], self._loop.time() + RELEASE_SECONDS)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._release)

    def _release(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._scheduled and self._scheduled[0][0] <= now:
            self._ready.append(heapq.heappop(self._scheduled)[2])
        if self._scheduled:
            self._arm()
        self.pump()
