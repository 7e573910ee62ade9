"""Where every task and thread of a process stands: names of files and functions, no values."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

DEEPEST = 30
"""Frames of one stack; what lies further out is left away."""


def task_stacks(loop: asyncio.AbstractEventLoop) -> Iterator[tuple[str, list[str]]]:
    """Each task by name, outermost call first. May be called from another thread."""
    for task in asyncio.all_tasks(loop):
        yield task.get_name(), list(_awaited(task.get_coro()))[-DEEPEST:]


def _awaited(inner: Any) -> Iterator[str]:
    """The chain of coroutines and generators that await one another."""
    while inner is not None:
        frame = next(
            (f for kind in ("cr", "gi", "ag") if (f := getattr(inner, f"{kind}_frame", None))), None
        )
        if frame is None:
            return
        yield _place(frame, frame.f_lineno)
        inner = next(
            (
                further
                for name in ("cr_await", "gi_yieldfrom", "ag_await")
                if (further := getattr(inner, name, None)) is not None
            ),
            None,
        )


def thread_stacks() -> Iterator[tuple[str, list[str]]]:
    """Each thread by name, outermost call first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, innermost in sys._current_frames().items():  # noqa: SLF001  # there is no other way
        places: list[str] = []
        frame: FrameType | None = innermost
        while frame is not None and len(places) < DEEPEST:
            places.append(_place(frame, frame.f_lineno))
            frame = frame.f_back
        yield names.get(ident, str(ident)), places[::-1]


def _place(frame: FrameType, line: int | None) -> str:
    code = frame.f_code
    return f"{'/'.join(Path(code.co_filename).parts[-3:])}:{line} {code.co_qualname}"
