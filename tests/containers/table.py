"""What a run of containers showed: one table, a row a promise, and whether all were kept."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import TocsinError

BROKEN = (AssertionError, OSError, TocsinError, LookupError, ValueError)
"""What a system that does not keep a promise makes the one who tries it meet."""


class Row:
    """A promise that is being tried."""

    def __init__(self) -> None:
        self.told = ""

    def says(self, told: str) -> None:
        """What was seen."""
        self.told = told


class Table:
    """Rows, each printed as soon as it is known."""

    def __init__(self, name: str, seen: str = "what was seen") -> None:
        self.broken: list[str] = []
        self._began = time.monotonic()
        print(f"{name:34} {'s':>6}  kept  {seen}", flush=True)

    def add(self, promise: str, seconds: float, told: str, *, kept: bool = True) -> None:
        """A row."""
        if not kept:
            self.broken.append(promise)
        print(f"{promise:34} {seconds:6.1f}  {'yes' if kept else 'NO':4}  {told}", flush=True)

    @contextmanager
    def row(self, promise: str) -> Iterator[Row]:
        """Try a promise; what breaks it is told in its row, and the next one is tried."""
        began, row = time.monotonic(), Row()
        try:
            yield row
        except BROKEN as error:
            told = " ".join(filter(None, (row.told, str(error) or type(error).__name__)))
            self.add(promise, time.monotonic() - began, told, kept=False)
        else:
            self.add(promise, time.monotonic() - began, row.told)

    def verdict(self) -> int:
        """The last line, and the exit code."""
        seconds = time.monotonic() - self._began
        end = f"BROKEN: {', '.join(self.broken)}" if self.broken else "every promise kept"
        print(f"{end}, {seconds:.0f} s", flush=True)
        return 1 if self.broken else 0
