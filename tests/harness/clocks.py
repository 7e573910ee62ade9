"""Clocks that a test sets: each is a `Clock` to the code that reads it."""

import time
from datetime import datetime, timedelta

from service.clock import Clock


class _SetClock(Clock):
    """A clock whose state a test changes, which no real one allows."""

    __setattr__ = object.__setattr__

    def __init__(self, *, simulated: bool) -> None:
        super().__init__()
        self._simulated = simulated

    @property
    def simulated(self) -> bool:
        return self._simulated

    @simulated.setter
    def simulated(self, simulated: bool) -> None:
        self._simulated = simulated


class HandClock(_SetClock):
    """A clock that stands where a test puts it: `at`."""

    def __init__(self, at: datetime, *, simulated: bool = False) -> None:
        super().__init__(simulated=simulated)
        self.at = at

    def now(self) -> datetime:
        return self.at


class FastClock(_SetClock):
    """A clock that a test sets, where a minute passes in a second."""

    def __init__(self, at: datetime) -> None:
        super().__init__(simulated=False)
        self.at = at
        self.since = time.monotonic()

    def now(self) -> datetime:
        return self.at + timedelta(minutes=time.monotonic() - self.since)


class MovedClock(_SetClock):
    """A clock that goes as fast as the world's, and is moved by hand. moves: (real, shown)."""

    def __init__(self) -> None:
        super().__init__(simulated=True)
        self.moves: list[tuple[float, datetime]] = []

    def move(self, to: datetime) -> None:
        self.moves.append((time.time(), to))

    def now(self) -> datetime:
        return self.at(time.time())

    def at(self, real: float) -> datetime:
        began, shown = max((m for m in self.moves if m[0] <= real), default=self.moves[0])
        return shown + timedelta(seconds=real - began)
