"""Samples the processor time of whatever process starts with this folder on its path.

Every two milliseconds of processor time it notes which function runs and through which it was
called, and writes the counts into the folder that TOCSIN_BENCH_SAMPLES names, a file a process.
Time in native code counts for the function of Python that runs next, mostly the one that called.
"""

import atexit
import json
import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

SECONDS = 0.002
WRITE_EVERY = 25
DEEPEST = 60


def _name(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.stem}.{frame.f_code.co_qualname.replace('.<locals>', '')}"


class Sampler:
    """Counts by function: in itself, and anywhere below it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}.json"
        self._total = 0
        self._own: Counter[str] = Counter()
        self._below: Counter[str] = Counter()

    def take(self, _: int, frame: FrameType | None) -> None:
        """Note one sample."""
        seen: set[str] = set()
        self._total += 1
        if frame is not None:
            self._own[_name(frame)] += 1
        while frame is not None and len(seen) < DEEPEST:
            seen.add(_name(frame))
            frame = frame.f_back
        self._below.update(seen)
        if self._total % WRITE_EVERY == 0:
            counts = {"total": self._total, "own": self._own, "below": self._below}
            whole = self._path.with_suffix(".part")
            whole.write_text(json.dumps(counts), encoding="utf-8")
            whole.replace(self._path)


if "TOCSIN_BENCH_SAMPLES" in os.environ:
    signal.signal(signal.SIGPROF, Sampler(Path(os.environ["TOCSIN_BENCH_SAMPLES"])).take)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)
    # An interpreter that ends gives the signal back its default, which is death.
    atexit.register(signal.setitimer, signal.ITIMER_PROF, 0)
