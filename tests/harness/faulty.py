"""A real process of ours in which one real function is broken, for whoever watches it from outside.

`python -m tests.harness.faulty FAULT FILE WORD…` runs `python -m workers WORD…`, or `tocsin serve`
for the word `serve`; once FILE exists, the fault strikes:

- `blocks`: the next turn of the event loop never returns to it;
- `hangs`: the worker's next look at its queue waits for ever (of `serve`: its next statement);
- `breaks`: what serves the channels raises;
- `crooked`: the clock is as many seconds ahead as FILE says.
"""

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from service.cli import main as tocsin
from service.clock import Clock
from service.dispatch.handoff.channel_server import TURN
from service.liveness.beat import Beat
from service.liveness.turns import LoopTurns
from workers.__main__ import main as workers
from workers.context import SteadyWorker

Turn = Callable[..., Coroutine[Any, Any, None]]


def break_it(fault: str, file: Path) -> None:
    """Replace what the fault strikes."""
    if fault == "blocks":
        _replace_note(file, _block_main_thread)
    elif fault == "hangs":
        SteadyWorker.heart_beat = _hanging(SteadyWorker.heart_beat, file)  # type: ignore[method-assign]  # that is the fault
        Beat.once = _hanging(Beat.once, file)  # type: ignore[method-assign]  # that is the fault
    elif fault == "breaks":
        _replace_note(file, _raise_for_channels)
    elif fault == "crooked":
        real_now = Clock.now

        def now(self: Clock) -> datetime:
            ahead = float(file.read_text()) if file.exists() else 0.0
            return real_now(self) + timedelta(seconds=ahead)

        Clock.now = now  # type: ignore[method-assign]  # that is the fault


def _replace_note(file: Path, strike: Callable[[str], None]) -> None:
    real_note = LoopTurns.note

    def note(self: LoopTurns, name: str, ago: float = 0.0) -> None:
        if file.exists():
            strike(name)
        real_note(self, name, ago)

    LoopTurns.note = note  # type: ignore[method-assign]  # that is the fault


def _block_main_thread(_: str) -> None:
    if threading.current_thread() is threading.main_thread():
        threading.Event().wait()


def _raise_for_channels(name: str) -> None:
    if name == TURN:
        raise SystemError("broken on purpose")


def _hanging(real: Turn, file: Path) -> Turn:
    there = file.exists

    async def hang(*given: Any) -> None:
        if there():
            await _for_ever()
        await real(*given)

    return hang


async def _for_ever() -> None:
    """Wait for what never comes, and end for nobody."""
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def run(fault: str, file: str, *words: str) -> int:
    """The process; returns its exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored
    break_it(fault, Path(file))
    return tocsin(["serve"]) if words == ("serve",) else workers(list(words))


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
