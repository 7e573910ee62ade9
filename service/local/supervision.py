"""Whether a child of `tocsin up` lives, by the file that it touches.

A child that is stopped or stuck cannot end itself, so its parent does. The parent counts the time
in which it has itself seen no touch, and not the age of the file: the clock may be moved, and a
machine that slept has stopped both.
"""

from dataclasses import dataclass
from pathlib import Path

from service.liveness.alive_file import NAME, OLD_SECONDS

STUCK_SECONDS = OLD_SECONDS + 5.0
"""Without a touch for so long, a child is killed."""
BEGIN_SECONDS = 120.0
"""How long it may take to its first touch: on a busy machine, all of its modules are read first."""
LOOK_SECONDS = 5.0
"""A parent that has not looked for longer was stopped itself, and begins to count anew."""


@dataclass(slots=True)
class LifeSigns:
    """What a parent has seen of one child's file. began: when the child was started, in seconds of
    a clock that does not jump.
    """

    folder: Path
    began: float
    _touched: float | None = None
    _changed: float = 0.0
    _looked: float | None = None

    def is_stuck(self, now: float) -> bool:
        """Look at the file; whether the child has given no sign for too long."""
        looked, self._looked = self._looked, now
        try:
            touched = (self.folder / NAME).stat().st_mtime
        except OSError:
            touched = None
        if looked is None or touched != self._touched or now - looked > LOOK_SECONDS:
            self._touched, self._changed = touched, now
        limit = BEGIN_SECONDS if touched is None else STUCK_SECONDS
        return now - max(self._changed, self.began) > limit
