"""Permits: how many messages may be on their way at once on one connection.

A permit is held from before the mark until the result is committed, so what a crash leaves
uncertain on a connection is never more than its window.
"""

import asyncio


class Permits:
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

    async def wait_free(self) -> None:
        """Until at least one permit is free."""
        while self.free < 1:
            self._changed.clear()
            await self._changed.wait()
