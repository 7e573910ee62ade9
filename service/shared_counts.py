"""Counts that cost something, made once for all who ask in this process.

Whoever watches a run asks every few seconds, and several watch the same one; a page that makes
rules asks what the lists hold, again and again. A count is made for a twentieth of the time at
most, however many ask; meanwhile they get the last, which says its age. Nobody who goes on asking
waits for the next count either: it is made behind them.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

ValueT = TypeVar("ValueT")
Counting = Callable[[], Awaitable[ValueT]]

REST = 20
"""So many times as long as a count took, it is not made again."""
MOST = 256
"""How many things are remembered, unless it is said otherwise."""
LATE_SECONDS = 30.0
"""Whoever asks so long after a count was due waits for a new one: meanwhile nobody has watched."""


@dataclass(slots=True)
class _Kept(Generic[ValueT]):
    """What was counted of one thing. fresh_until: on the monotonic clock."""

    value: ValueT | None = None
    fresh_until: float = float("-inf")
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)


class SharedCounts(Generic[ValueT]):
    """The last count of each thing. One count at a time is made behind those who ask.

    most: of how many things; of the others the count is made anew.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, _Kept[ValueT]] = OrderedDict()
        self._behind: asyncio.Task[None] | None = None

    async def get(
        self,
        key: Hashable,
        count: Counting[ValueT],
        *,
        behind: Counting[ValueT] | None = None,
        at_least: float = 0.0,
    ) -> ValueT:
        """The last count of a thing, or a new one if there is none yet, or it is late.

        A count that is due is answered at once all the same, and made anew behind whoever asks, or
        when one that is made for something else has ended. While somebody counts, all others get
        the last one; if there is none yet, they wait for it.

        count: as whoever asks can count. behind: the same with nothing of whoever asks; None: who
        finds a count due makes it. at_least: seconds that a count stays, however little it took.
        """
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        if kept.value is not None:
            if kept.counting.locked() or self._is_fresh(kept):
                return kept.value
            if behind is not None and self._is_fresh(kept, LATE_SECONDS):
                self._begin(kept, behind, at_least)
                return kept.value
        async with kept.counting:
            if kept.value is not None and self._is_fresh(kept):
                value = kept.value
            else:
                value = await self._count(kept, count, at_least)
        self._forget_oldest()
        return value

    async def close(self) -> None:
        """End the count that is made behind those who ask, if there is one."""
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.gather(self._behind, return_exceptions=True)

    def _begin(self, kept: _Kept[ValueT], count: Counting[ValueT], at_least: float) -> None:
        if self._behind is None or self._behind.done():
            self._behind = asyncio.create_task(self._count_behind(kept, count, at_least))

    async def _count_behind(
        self, kept: _Kept[ValueT], count: Counting[ValueT], at_least: float
    ) -> None:
        async with kept.counting:
            try:
                await self._count(kept, count, at_least)
            except Exception:  # once it is late, whoever asks is told
                log.exception("a count behind those who watch has failed")

    @staticmethod
    async def _count(kept: _Kept[ValueT], count: Counting[ValueT], at_least: float) -> ValueT:
        began = time.monotonic()
        value = await count()
        ended = time.monotonic()
        kept.value, kept.fresh_until = value, ended + max(REST * (ended - began), at_least)
        return value

    @staticmethod
    def _is_fresh(kept: _Kept[ValueT], late: float = 0.0) -> bool:
        return time.monotonic() < kept.fresh_until + late

    def _forget_oldest(self) -> None:
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
