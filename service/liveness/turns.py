"""The turns of a process: each loop of it says here when it last went round.

Written by the event loop and read by the watchdog's thread. Each write is one item of a dictionary,
so no lock is needed.
"""

import time
from collections.abc import Callable

START = "start"
"""Not a turn, but what has to be over in time, too: it is noted as the process begins."""
LOOP = "event loop"
"""The turn of the event loop itself; only it can be late while a server is away."""


class LoopTurns:
    """When each loop of this process last went round, by its name."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._busy: dict[str, Callable[[], bool]] = {}
        self._ending = False

    def note(self, name: str, ago: float = 0.0) -> None:
        """A loop has gone round now, or `ago` seconds before. From then on it is watched, until the
        process is asked to stop.
        """
        if not self._ending or name == LOOP:
            self._at[name] = time.monotonic() - ago

    def begin(self, name: str) -> None:
        """Watch a loop that has not gone round yet; one that is built anew is as late as it was."""
        if not self._ending:
            self._at.setdefault(name, time.monotonic())

    def started(self) -> None:
        """The process has opened what it needs, and its loops go round."""
        self._at.pop(START, None)

    def excuse(self, name: str, busy: Callable[[], bool]) -> None:
        """Do not count the time in which a loop is `busy`: it waits for work that it may have."""
        self._busy[name] = busy

    def end(self) -> None:
        """The process was asked to stop: loops end, and only the event loop is watched still."""
        self._ending = True
        for name in set(self._at) - {LOOP}:
            self._at.pop(name, None)

    def ages(self) -> dict[str, float]:
        """Seconds since each loop went round."""
        now = time.monotonic()
        for name, busy in self._busy.copy().items():
            if name in self._at and busy():
                self.note(name)
        return {name: max(0.0, now - at) for name, at in self._at.copy().items()}
