"""The present as a test wants it, going on from there."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class MovedClock:
    """A clock that goes as fast as the world's, and is moved by hand. moves: (real, shown)."""

    moves: list[tuple[float, datetime]] = field(default_factory=list)
    speed: float = 1.0
    simulated: bool = True

    def move(self, to: datetime) -> None:
        self.moves.append((time.time(), to))

    def now(self) -> datetime:
        return self.at(time.time())

    def at(self, real: float) -> datetime:
        began, shown = max((m for m in self.moves if m[0] <= real), default=self.moves[0])
        return shown + timedelta(seconds=real - began)
