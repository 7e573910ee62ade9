"""How many submits an account may make in any second."""

from collections import deque


class SlidingSecond:
    """Refuses what exceeds `tps` plus a tolerance in the second before it.

    The tolerance of 2 or 2 % is for what the network clumps together.
    """

    def __init__(self, tps: int) -> None:
        self._limit = tps + max(2, tps // 50)
        self._taken: deque[float] = deque()

    def take(self, now: float, units: int) -> bool:
        """Count the units if they fit; False if they are too fast."""
        taken = self._taken
        while taken and taken[0] <= now - 1.0:
            taken.popleft()
        if len(taken) + units > self._limit:
            return False
        taken.extend([now] * units)
        return True
