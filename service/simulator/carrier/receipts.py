"""What an account is sent: receipts and texts from handsets, waiting for their time and a link.

While no link is up they stay owed; what a lost link leaves unacknowledged is sent on another.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, cycle
from typing import Protocol

from service.coding.parts import Part

RELEASE_SECONDS = 0.01
"""Receipts that fall due within this time go out together."""


@dataclass(slots=True)
class Owed:
    """A receipt to be sent.

    id: of the reported part, as raw octets. fate: the name of the outcome; stat: CMPP's word for
    it, which other protocols translate. submitted_at: by the simulator's calendar. shared: whether
    other recipients have the same id. callback: where the submit asked it to be posted.
    journaled: False for the false ones, which a restart may forget.
    """

    id: bytes
    phone: str
    sender: str
    fate: str
    stat: str
    submitted_at: datetime
    shared: bool = False
    callback: str = ""
    journaled: bool = True


@dataclass(frozen=True, slots=True)
class MOPart:
    """A part of a text from a handset.

    phone: whose, in E.164 form, or a short code. to: the number it was sent to. reference: what
    its parts share, 0 to 255.
    """

    phone: str
    to: str
    part: Part
    reference: int


CarrierItem = Owed | MOPart


class ReceiptLink(Protocol):
    """A connection that receipts can be sent on."""

    @property
    def room(self) -> int:
        """How many more may be sent before one is acknowledged."""

    def convey(self, item: CarrierItem) -> None:
        """Send one."""


class ReceiptQueue:
    """What one account is sent, and the links that can take it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.links: list[ReceiptLink] = []
        self._loop = loop
        self._scheduled: list[tuple[float, int, CarrierItem]] = []
        self._order = count()
        self._ready: deque[CarrierItem] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many wait for their time or for a link."""
        return len(self._scheduled) + len(self._ready)

    def schedule(self, item: CarrierItem, delay: float) -> None:
        """Send one after `delay` seconds."""
        entry = self._loop.time() + delay, next(self._order), item
        heapq.heappush(self._scheduled, entry)
        if self._scheduled[0] is entry:  # else the timer is set for an earlier one
            self._arm()

    def again(self, items: Sequence[CarrierItem]) -> None:
        """Send these before all others."""
        self._ready.extendleft(reversed(items))
        self.pump()

    def last(self, items: Sequence[CarrierItem]) -> None:
        """Send these after all others that are ready."""
        self._ready.extend(items)
        self.pump()

    def spread(self, items: Sequence[CarrierItem]) -> None:
        """Send these now, each on another link than the one before; all wait if there is none."""
        links = [link for link in self.links if link.room > 0]
        for item, link in zip(items, cycle(links), strict=False):
            link.convey(item)
        if not links:
            self._ready.extend(items)

    def pump(self) -> None:
        """Send what is ready on whatever links have room."""
        for link in self.links:
            while self._ready and link.room > 0:
                link.convey(self._ready.popleft())

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
