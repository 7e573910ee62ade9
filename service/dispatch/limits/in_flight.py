"""Permits: how many messages may be on their way at once on one connection.

A permit is held from before the mark until the result is committed, so what a crash leaves
uncertain on a connection is never more than its window.
"""

import asyncio


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
