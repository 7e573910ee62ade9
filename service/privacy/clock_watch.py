"""A wrong clock destroys nothing: when retention may go by the clock, and when it waits (pure).

Three clocks are compared: the process's, PostgreSQL's, and the last beat, which is when the service
last knew that it lived. A clock that has jumped ahead and a service that stood still for long look
the same from here: both wait until the new time has lasted, and above a share of a table until a
person has agreed. A clock that is set back deletes nothing, so nobody waits for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

DIFFER = timedelta(minutes=5)
"""How far the clocks of the process and of PostgreSQL may be apart."""
JUMP = timedelta(hours=1)
"""Between two beats, of which one comes each minute: more is a jump."""
LASTS = timedelta(hours=24)
"""How long the new time must have gone on, without another jump, before it is believed."""

DeletionHold = Literal["clocks_differ", "clock_jumped", "needs_agreement"]
DueCounts = Mapping[str, tuple[int, int]]
"""By kind: how much is past its term, and of how much there is."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of the clock. jumped_from: the last beat before it jumped ahead; jumped_at: the
    first after it; agreed: a person has agreed to what is due after this jump.
    """

    beat_at: datetime | None = None
    jumped_from: datetime | None = None
    jumped_at: datetime | None = None
    agreed: bool = False

    def beat(self, now: datetime, jump: timedelta = JUMP) -> "Watch":
        """What is known once the clock shows `now`."""
        before, begun = self.beat_at, self.jumped_at
        if before is None:
            return replace(self, beat_at=now)
        if now > before + jump:  # the time before the first of several jumps is the one that counts
            return Watch(now, self.jumped_from or before, now)
        if self.jumped_from is None or begun is None or now >= before - DIFFER:
            return replace(self, beat_at=now)
        put_right = self.jumped_from + (before - begun) + jump
        if now <= put_right:
            return Watch(now)
        return Watch(now, self.jumped_from, now)

    def held(self, now: datetime, database_now: datetime | None) -> DeletionHold | None:
        """Why nothing may go now; None: it may, or, after a jump, if what is due is little.

        database_now: None where the process's time is simulated, for they are not to agree then.
        """
        if database_now is not None and abs(now - database_now) > DIFFER:
            return "clocks_differ"
        if self.jumped_at is not None and now < self.jumped_at + LASTS:
            return "clock_jumped"
        return None


def is_little(due: DueCounts, share: float) -> bool:
    """Whether no kind has a larger share of its table past its term than this."""
    return all(count <= share * total for count, total in due.values())
