"""The clock of a process held against PostgreSQL's, which all processes have in common (pure).

Half of the round trip is what nobody knows: the answer was written somewhere within it. A clock is
beyond a limit only if it is so without that half. Retention holds its own, wider limit against the
same figure (`service.privacy.clock_watch`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

DIFFERS = timedelta(seconds=5)
"""Beyond it somebody is told: send hours and validity are off by as much."""
UNFIT = timedelta(seconds=60)
"""Beyond it nothing is handed off: a text would leave outside its hours, or past its validity."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far a clock is ahead of PostgreSQL's (behind: below zero), and how well that is known."""

    ahead: timedelta
    uncertainty: timedelta

    @classmethod
    def between(cls, before: datetime, database_now: datetime, after: datetime) -> "ClockOffset":
        """Of a process that read its own clock before and after it asked for PostgreSQL's."""
        half = (after - before) / 2
        return cls(before + half - database_now, abs(half))

    def is_beyond(self, limit: timedelta) -> bool:
        """Whether the clocks are further apart than this, whatever is not known."""
        return abs(self.ahead) - self.uncertainty > limit


class ClockState(Enum):
    """What a process may do by its clock."""

    FITS = "fits"
    DIFFERS = "differs"
    """It works; a person has to put the clock right."""
    UNFIT = "unfit"
    """Its channels hand off nothing."""


def state_of(offset: ClockOffset) -> ClockState:
    """What follows from an offset."""
    if offset.is_beyond(UNFIT):
        return ClockState.UNFIT
    return ClockState.DIFFERS if offset.is_beyond(DIFFERS) else ClockState.FITS
