"""Whether a process lives, by the age of its turns: what the watchdog decides, without doing it.

A process whose turns are late waits rightly while a server does not answer: to end would help
nobody, and all processes would end together. It stands still wrongly if both servers answer a fresh
connection. Time in which the process itself was stopped (SIGSTOP, a frozen container) counts for
nothing: it has not had its turn yet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from service.liveness.turns import LOOP

QUIET_SECONDS = 15.0
"""So long, a turn is not asked after; where a process is late sooner, for half of that."""

Absent = list[str]
"""What is wrong with the servers, a sentence each; nothing: both answer."""


class Verdict(Enum):
    """What a look at the turns has shown."""

    LIVES = "lives"
    """Every turn is young."""
    WAITS = "waits"
    """A turn is late, since a server does not answer: that is right."""
    STANDS = "stands"
    """A turn is late and nothing excuses it, but not for so long yet that the process ends."""
    LATE = "late"
    """It has stood still for too long."""


@dataclass(slots=True)
class Judge:
    """Judges look after look. late_seconds: how long work may stand still; look_seconds: the most
    that lies between two looks of a watchdog that has its turn.
    """

    late_seconds: float
    look_seconds: float
    clock: Callable[[], float]
    absent: Callable[[], Absent]
    """Asks both servers over fresh connections; takes seconds, and is asked only if need be."""
    why: tuple[str, ...] = ()
    """What does not answer, or which turns are late."""
    _looked: float | None = None
    _excused: float = 0.0

    def look(self, ages: Mapping[str, float]) -> Verdict:
        """Judge by the ages of the turns, in seconds."""
        now = self.clock()
        if self._looked is None or now - self._looked > 2 * self.look_seconds + 1.0:
            self._excused = now  # it begins, or was stopped itself
        self._looked = now
        quiet = min(QUIET_SECONDS, self.late_seconds / 2)
        late = {name: age for name, age in ages.items() if age > quiet}
        if not late:
            self.why = ()
            return Verdict.LIVES
        if absent := self.absent():
            self._excused = self._looked = self.clock()
            self.why = tuple(absent)
            return Verdict.STANDS if LOOP in late else Verdict.WAITS
        self._looked = self.clock()
        self.why = tuple(sorted(late))
        stood = min(max(late.values()), now - self._excused)
        return Verdict.LATE if stood > self.late_seconds else Verdict.STANDS
