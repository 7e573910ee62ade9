"""Counts that cost something, made once for all who ask in this process.

Whoever watches a run asks every few seconds, and several watch the same one. A count is made for
a twentieth of the time at most, however many ask; meanwhile they get the last, which says its age.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")

REST = 20
"""So many times as long as a count took, it is not made again."""
MOST = 256
"""How many things are remembered; of the others the count is made anew."""


@dataclass(slots=True)
class _Kept(Generic[ValueT]):
    """What was counted of one thing. fresh_until: on the monotonic clock."""

    value: ValueT | None = None
    fresh_until: float = float("-inf")
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)


class SharedCounts(Generic[ValueT]):
    """The last count of each thing."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Kept[ValueT]] = OrderedDict()

    async def get(
        self, key: Hashable, count: Callable[[], Awaitable[ValueT]], *, at_least: float = 0.0
    ) -> ValueT:
        """The last count of a thing, or a new one if it is due. While somebody counts, all others
        get the last one at once; if there is none yet, they wait for it.

        at_least: seconds that a count stays, however little it took.
        """
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        if kept.value is not None and (kept.counting.locked() or self._is_fresh(kept)):
            return kept.value
        async with kept.counting:
            if kept.value is None or not self._is_fresh(kept):
                began = time.monotonic()
                kept.value = await count()
                ended = time.monotonic()
                kept.fresh_until = ended + max(REST * (ended - began), at_least)
        self._forget_oldest()
        return kept.value

    @staticmethod
    def _is_fresh(kept: _Kept[ValueT]) -> bool:
        return time.monotonic() < kept.fresh_until

    def _forget_oldest(self) -> None:
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
